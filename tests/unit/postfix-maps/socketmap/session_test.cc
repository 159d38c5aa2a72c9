// A session over a real socket pair; the answers come from the test.
#include "postfix-maps/socketmap/session.h"

#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "shared/runtime/channel.h"
#include "shared/runtime/loop.h"
#include "tests/support/catch.h"
#include "tests/support/socket_pair.h"

using namespace vmail;
using socketmap::Answerer;
using socketmap::Later;
using socketmap::Reply;
using socketmap::Request;

namespace {

// "hit KEY" is answered at once with its key, "miss KEY" when the test says so.
struct Fixture : Answerer {
  Fixture() {
    pair.open([&](Channel& channel) { return std::make_shared<socketmap::SocketmapSession>(channel, *this); });
  }

  std::string talk(const std::string& bytes) {
    pair.write(bytes);
    return pair.read();
  }
  void answer(const Reply& reply) {
    auto later = std::move(questions.front());
    questions.erase(questions.begin());
    later(reply);
    pair.settle();
  }

  std::vector<std::string> asked;
  std::vector<Later> questions;
  std::optional<Reply> recall(const Request& request) override {
    asked.push_back(std::string(request.map) + ' ' + std::string(request.key));
    if (request.map == "hit") return Reply::ok(request.key);
    return std::nullopt;
  }
  std::optional<Reply> ask(const Request&, Later later) override {
    questions.push_back(std::move(later));
    return std::nullopt;
  }
  test::SocketPair pair;
};

}  // namespace

TEST_CASE("a session answers hits at once, several in one piece too") {
  Fixture f;
  CHECK(f.talk("5:hit a,") == "4:OK a,");
  CHECK(f.talk("5:hit b,5:hit c,") == "4:OK b,4:OK c,");
  CHECK(f.talk("5:hi") == "");
  CHECK(f.talk("t d,") == "4:OK d,");
  CHECK_FALSE(f.pair.closed());
}

TEST_CASE("answers come in the order of the requests") {
  Fixture f;
  CHECK(f.talk("5:hit a,6:miss b,5:hit c,6:miss d,5:hit e,") == "4:OK a,");
  CHECK(f.asked == std::vector<std::string>{"hit a", "miss b"});  // one question at a time
  CHECK(f.talk("5:hit f,") == "");                                // not even read

  f.answer(Reply::ok("B"));
  CHECK(f.pair.read() == "4:OK B,4:OK c,");
  f.answer(Reply::not_found());
  CHECK(f.pair.read() == "9:NOTFOUND ,4:OK e,4:OK f,");
}

TEST_CASE("half a request behind one in flight is not lost") {
  Fixture f;
  CHECK(f.talk("6:miss b,5:hi") == "");
  f.answer(Reply::temp("away"));
  CHECK(f.pair.read() == "9:TEMP away,");
  CHECK(f.talk("t c,") == "4:OK c,");
}

TEST_CASE("a malformed request closes the connection, after what was good has been answered") {
  Fixture f;
  CHECK(f.talk("5:hit a,hello") == "4:OK a,");
  CHECK(f.pair.closed());
}

TEST_CASE("a malformed request behind one in flight waits for its answer") {
  Fixture f;
  CHECK(f.talk("6:miss b,hello") == "");
  CHECK_FALSE(f.pair.closed());
  f.answer(Reply::ok("B"));
  CHECK(f.pair.read() == "4:OK B,");
  CHECK(f.pair.closed());
}

TEST_CASE("a peer that has sent all it will is answered, then closed") {
  Fixture f;
  SECTION("with nothing in flight") {
    f.pair.end_output();
    CHECK(f.pair.closed());
  }
  SECTION("in the middle of a request") {
    CHECK(f.talk("5:hi") == "");
    f.pair.end_output();
    CHECK(f.pair.closed());
  }
  SECTION("with a question out") {
    CHECK(f.talk("6:miss b,") == "");
    f.pair.end_output();
    CHECK_FALSE(f.pair.closed());
    f.answer(Reply::ok("B"));
    CHECK(f.pair.read() == "4:OK B,");
    CHECK(f.pair.closed());
  }
}

TEST_CASE("the end of the daemon loses no request") {
  Fixture f;
  SECTION("an idle connection closes at once") {
    f.pair.drain();
    CHECK(f.pair.closed());
  }
  SECTION("what has come is answered first") {
    CHECK(f.talk("6:miss b,5:hit c,6:miss d,") == "");
    f.pair.drain();
    CHECK_FALSE(f.pair.closed());
    f.answer(Reply::ok("B"));
    CHECK(f.pair.read() == "4:OK B,4:OK c,");
    CHECK_FALSE(f.pair.closed());
    f.answer(Reply::ok("D"));
    CHECK(f.pair.read() == "4:OK D,");
    CHECK(f.pair.closed());
  }
}

TEST_CASE("an answer for a peer that has gone harms nobody") {
  Fixture f;
  CHECK(f.talk("6:miss b,") == "");
  f.pair.abort();
  CHECK(f.pair.closed());
  f.answer(Reply::ok("B"));
}

TEST_CASE("an answer after the end of the session harms nobody") {
  Fixture f;
  CHECK(f.talk("6:miss b,") == "");
  f.pair.reset();
  f.answer(Reply::ok("B"));
}
