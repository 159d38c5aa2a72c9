#include "dovecot-auth/saslauthd/session.h"

#include "tests/support/catch.h"
#include "tests/unit/dovecot-auth/backend.h"

using namespace vmail;
using auth::saslauthd::MuxSession;

namespace {

struct Fixture {
  test::SocketPair pair;
  test::Backend backend;

  Fixture() : backend(pair.loop()) {
    backend.add("lisi", "mydomain.com", password::make_sha512_crypt(Secret("secret"), 1000));
    pair.open([this](Channel& channel) { return std::make_shared<MuxSession>(channel, backend.logins()); });
  }
  ~Fixture() { pair.reset(); }

  static std::string request(const std::string& user, const std::string& password) {
    const auto at = user.find('@');
    std::string bytes;
    for (const auto& text : {user.substr(0, at), password, std::string("smtp"), user.substr(at + 1)}) {
      bytes += '\0';
      bytes += static_cast<char>(text.size());
      bytes += text;
    }
    return bytes;
  }
  // All that comes until the end of the connection.
  std::string say(const std::string& bytes) {
    pair.write(bytes);
    std::string got;
    backend.until([&] {
      got += pair.read();
      return pair.closed_calls() > 0;
    });
    return got + pair.read();
  }
};

}  // namespace

TEST_CASE("mux session: right, wrong, unknown, disabled") {
  const struct {
    const char* user;
    const char* password;
    const char* answer;
  } cases[] = {{"lisi@mydomain.com", "secret", "OK"},
               {"lisi@mydomain.com", "wrong", "NO"},
               {"lisi@mydomain.com", "", "NO"},
               {"nobody@mydomain.com", "secret", "NO"},
               {"off@mydomain.com", "secret", "NO"}};
  for (const auto& one : cases) {
    CAPTURE(one.user);
    Fixture f;
    f.backend.disable("off@mydomain.com");
    CHECK(f.say(f.request(one.user, one.password)).substr(2, 2) == one.answer);
  }
}

TEST_CASE("mux session: trouble is told by hanging up without an answer") {
  Fixture down;
  down.backend.break_database("lisi@mydomain.com", "the database is down");
  CHECK(down.say(down.request("lisi@mydomain.com", "secret")).empty());
  Fixture malformed;
  CHECK(malformed.say("GET / HTTP/1.1\r\n\r\n").empty());
}

TEST_CASE("mux session: the end of input or of the daemon waits for the answer") {
  Fixture f;
  f.backend.hold();
  f.pair.write(f.request("lisi@mydomain.com", "secret"));
  SECTION("end of input") {
    f.pair.end_output();
  }
  SECTION("drain") {
    f.pair.drain();
  }
  SECTION("more than was asked for") {
    f.pair.write("xxxxxxxx");
  }
  CHECK_FALSE(f.pair.closed());
  f.backend.release();
  CHECK(f.say("").substr(2) == "OK");
}

TEST_CASE("mux session: an idle or half connection goes at the end of the daemon") {
  Fixture f;
  f.pair.write(std::string("\0\4li", 4));
  f.pair.drain();
  CHECK(f.pair.closed());
}
