#include "dovecot-auth/postfix/session.h"

#include <algorithm>

#include "shared/base/base64.h"
#include "tests/support/catch.h"
#include "tests/unit/dovecot-auth/backend.h"

using namespace vmail;
using auth::postfix::AuthSession;

namespace {

struct Fixture {
  const std::vector<std::string> mechanisms = {"PLAIN", "LOGIN"};
  test::SocketPair pair;
  test::Backend backend;

  explicit Fixture(std::size_t queue = 256, std::size_t threads = 2) : backend(pair.loop(), queue, threads) {
    backend.add("lisi", "mydomain.com", password::make_sha512_crypt(Secret("secret"), 1000));
    pair.open(
        [this](Channel& channel) { return std::make_shared<AuthSession>(channel, backend.logins(), mechanisms, 7); });
    handshake = pair.read();
  }
  ~Fixture() { pair.reset(); }

  std::string handshake;

  static std::string plain(int id, const std::string& user, const std::string& password) {
    return "AUTH\t" + std::to_string(id) + "\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=192.0.2.2\tresp=" +
           base64_encode('\0' + user + '\0' + password) + "\n";
  }
  // Writes, and waits for `lines` lines, or for the end of the connection.
  std::string say(const std::string& text, long lines = 1) {
    pair.write(text);
    std::string got;
    backend.until([&] {
      got += pair.read();
      return std::count(got.begin(), got.end(), '\n') >= lines || pair.closed_calls() > 0;
    });
    return got;
  }
};

const std::string kRefused = "\treason=the user name or the password is wrong\n";

}  // namespace

TEST_CASE("auth session: the server speaks first") {
  Fixture f;
  CHECK(f.handshake.substr(0, 12) == "VERSION\t1\t2\n");
  CHECK(f.handshake.find("\nCUID\t7\n") != std::string::npos);
  CHECK(f.handshake.substr(f.handshake.size() - 6) == "\nDONE\n");
  Fixture other;
  CHECK(other.handshake != f.handshake);  // the cookie
}

TEST_CASE("auth session: PLAIN: right, wrong, unknown and disabled") {
  Fixture f;
  f.backend.disable("off@mydomain.com");
  CHECK(f.say("VERSION\t1\t0\nCPID\t4711\n" + f.plain(1, "lisi@mydomain.com", "secret")) ==
        "OK\t1\tuser=lisi@mydomain.com\n");
  CHECK(f.say(f.plain(2, "lisi@mydomain.com", "wrong")) == "FAIL\t2\tuser=lisi@mydomain.com" + kRefused);
  CHECK(f.say(f.plain(3, "nobody@mydomain.com", "secret")) == "FAIL\t3\tuser=nobody@mydomain.com" + kRefused);
  CHECK(f.say(f.plain(4, "off@mydomain.com", "secret")) == "FAIL\t4\tuser=off@mydomain.com" + kRefused);
  CHECK(f.say(f.plain(5, "lisi@mydomain.com", "")) == "FAIL\t5\tuser=lisi@mydomain.com" + kRefused);
  CHECK_FALSE(f.pair.closed());
}

TEST_CASE("auth session: the name of the mailbox is the user, whatever was typed") {
  Fixture f;
  f.backend.add("Wangwu@alias.example", "wangwu", "mydomain.com", password::make_sha512_crypt(Secret("x"), 1000));
  CHECK(f.say(f.plain(1, "Wangwu@alias.example", "x")) == "OK\t1\tuser=wangwu@mydomain.com\n");
}

TEST_CASE("auth session: an empty, over-long or impossible password asks neither the database nor the pool") {
  Fixture f;
  for (const std::string& password : {std::string(), std::string(257, 'x')}) {
    CHECK(f.say(f.plain(1, "lisi@mydomain.com", password)) == "FAIL\t1\tuser=lisi@mydomain.com" + kRefused);
  }
  CHECK(f.backend.asked() == 0);
}

TEST_CASE("auth session: LOGIN, step by step, and with an empty first response") {
  Fixture f;
  CHECK(f.say("AUTH\t1\tLOGIN\tservice=smtp\n") == "CONT\t1\tVXNlcm5hbWU6\n");
  CHECK(f.say("CONT\t1\t" + base64_encode("lisi@mydomain.com") + "\n") == "CONT\t1\tUGFzc3dvcmQ6\n");
  CHECK(f.say("CONT\t1\t" + base64_encode("secret") + "\n") == "OK\t1\tuser=lisi@mydomain.com\n");
  CHECK(f.say("AUTH\t2\tPLAIN\tservice=smtp\n") == "CONT\t2\t\n");
  CHECK(f.say("CONT\t2\t=\n").substr(0, 7) == "FAIL\t2\t");
  CHECK(f.say("AUTH\t3\tPLAIN\tservice=smtp\tresp==\n").substr(0, 7) == "FAIL\t3\t");
}

TEST_CASE("auth session: failures that need no account say what the mail program did wrong") {
  Fixture f;
  CHECK(f.say("AUTH\t1\tCRAM-MD5\tservice=smtp\n") == "FAIL\t1\treason=this way to log in is not offered\n");
  CHECK(f.say("AUTH\t2\tPLAIN\tresp=%\n").find("not base64") != std::string::npos);
  CHECK(f.say("AUTH\t3\tPLAIN\tresp=" + base64_encode(std::string("a\0b\0c", 5)) + "\n") ==
        "FAIL\t3\tuser=b\treason=logging in as another user is not allowed\n");
  CHECK(f.backend.asked() == 0);
}

TEST_CASE("auth session: what a client calls itself reaches the reply as text only") {
  Fixture f;
  const auto reply = f.say(f.plain(1, "a\tuser=root\nOK\t1", "x"));
  CHECK(reply.substr(0, 7) == "FAIL\t1\t");
  CHECK(std::count(reply.begin(), reply.end(), '\n') == 1);
  CHECK(reply.find("\tuser=root") == std::string::npos);
}

TEST_CASE("auth session: a temporary failure is a connection that closes without a reply") {
  Fixture f;
  SECTION("at once") {
    f.backend.break_database("lisi@mydomain.com", "the database is down");
  }
  SECTION("later") {
    f.backend.break_database("lisi@mydomain.com", "the database is down");
    f.backend.hold();
  }
  SECTION("a hash that no scheme knows") {
    f.backend.add("lisi", "mydomain.com", "{ROT13}frperg");
  }
  SECTION("a hash that asks for too much") {
    f.backend.add("lisi", "mydomain.com", "$6$rounds=999999999$abcdefgh$" + std::string(86, '.'));
  }
  f.pair.write(f.plain(1, "lisi@mydomain.com", "secret"));
  f.backend.release();
  CHECK(f.say("").empty());
  CHECK(f.pair.closed());
}

TEST_CASE("auth session: a full hash queue is a temporary failure at once") {
  Fixture f(2, 0);
  f.pair.write(f.plain(1, "lisi@mydomain.com", "secret") + f.plain(2, "lisi@mydomain.com", "secret"));
  CHECK(f.pair.read().empty());
  CHECK_FALSE(f.pair.closed());
  CHECK(f.say(f.plain(3, "lisi@mydomain.com", "secret")).empty());
  CHECK(f.pair.closed());
}

TEST_CASE("auth session: several at once, and one given up") {
  Fixture f;
  f.backend.hold();
  f.pair.write(f.plain(1, "lisi@mydomain.com", "secret") + f.plain(2, "lisi@mydomain.com", "wrong") + "CANCEL\t1\n");
  f.backend.release();
  CHECK(f.say("") == "FAIL\t2\tuser=lisi@mydomain.com" + kRefused);
  // The number of one that was given up may be used again, and gets its own answer.
  f.backend.hold();
  f.pair.write(f.plain(3, "lisi@mydomain.com", "secret") + "CANCEL\t3\n" + f.plain(3, "nobody@mydomain.com", "secret"));
  f.backend.release();
  CHECK(f.say("") == "FAIL\t3\tuser=nobody@mydomain.com" + kRefused);
}

TEST_CASE("auth session: many at once on one connection are all answered") {
  Fixture f;
  std::string all;
  for (int id = 1; id <= 200; ++id) all += f.plain(id, "lisi@mydomain.com", "secret");
  const auto got = f.say(all, 200);
  for (int id = 1; id <= 200; ++id) {
    CHECK(got.find("OK\t" + std::to_string(id) + "\tuser=lisi@mydomain.com\n") != std::string::npos);
  }
}

TEST_CASE("auth session: exchanges that the client abandoned make room for new ones") {
  Fixture f;
  for (int id = 1; id <= 500; ++id) {
    CHECK(f.say("AUTH\t" + std::to_string(id) + "\tLOGIN\n") == "CONT\t" + std::to_string(id) + "\tVXNlcm5hbWU6\n");
  }
  CHECK(f.say("CONT\t500\t" + base64_encode("lisi@mydomain.com") + "\n") == "CONT\t500\tUGFzc3dvcmQ6\n");
  CHECK(f.say("CONT\t500\t" + base64_encode("secret") + "\n") == "OK\t500\tuser=lisi@mydomain.com\n");
  CHECK(f.say("CONT\t1\t" + base64_encode("lisi@mydomain.com") + "\n").empty());
  CHECK(f.pair.closed());
}

TEST_CASE("auth session: what is against the protocol ends the connection") {
  Fixture f;
  SECTION("another version") {
    f.pair.write("VERSION\t2\t0\n");
  }
  SECTION("a CONT out of the blue") {
    f.pair.write("CONT\t1\tAAAA\n");
  }
  SECTION("a number twice") {
    f.pair.write("AUTH\t1\tLOGIN\nAUTH\t1\tLOGIN\n");
  }
  SECTION("a line without end") {
    f.pair.write(std::string(20000, 'x'));
  }
  f.pair.read();
  CHECK(f.pair.closed());
}

TEST_CASE("auth session: the end of input or of the daemon waits for the answer") {
  Fixture f;
  SECTION("idle, end of input") {
    f.pair.end_output();
  }
  SECTION("idle, drain") {
    f.pair.drain();
  }
  SECTION("waiting for the client, drain") {
    f.pair.write("AUTH\t1\tLOGIN\n");
    f.pair.read();
    f.pair.drain();
  }
  SECTION("in flight, end of input") {
    f.backend.hold();
    f.pair.write(f.plain(1, "lisi@mydomain.com", "secret"));
    f.pair.end_output();
    CHECK_FALSE(f.pair.closed());
    f.backend.release();
    CHECK(f.say("") == "OK\t1\tuser=lisi@mydomain.com\n");
  }
  SECTION("in flight, drain") {
    f.backend.hold();
    f.pair.write(f.plain(1, "lisi@mydomain.com", "secret"));
    f.pair.drain();
    CHECK_FALSE(f.pair.closed());
    f.backend.release();
    CHECK(f.say("") == "OK\t1\tuser=lisi@mydomain.com\n");
  }
  f.pair.settle();
  CHECK(f.pair.closed());
}

TEST_CASE("auth session: a client that has gone before its answer") {
  Fixture f;
  f.backend.hold();
  f.pair.write(f.plain(1, "lisi@mydomain.com", "secret"));
  f.pair.abort();
  f.backend.release();
  f.backend.stop();
  f.pair.settle();
}
