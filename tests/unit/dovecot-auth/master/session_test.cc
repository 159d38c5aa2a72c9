#include "dovecot-auth/master/session.h"

#include <algorithm>

#include "tests/support/catch.h"
#include "tests/unit/dovecot-auth/backend.h"

using namespace vmail;
using auth::master::MasterSession;

namespace {

struct Fixture {
  test::SocketPair pair;
  test::Backend backend;
  std::string handshake;

  Fixture() : backend(pair.loop()) {
    backend.add("lisi", "mydomain.com", "x");
    pair.open([this](Channel& channel) {
      return std::make_shared<MasterSession>(channel, backend.questions(), backend.accounts());
    });
    handshake = pair.read();
  }
  ~Fixture() { pair.reset(); }

  // Writes, and waits until what has come ends so, or for the end of the connection.
  std::string say(const std::string& text, const std::string& end = "\n") {
    pair.write(text);
    std::string got;
    backend.until([&] {
      got += pair.read();
      return (got.size() >= end.size() && got.compare(got.size() - end.size(), end.size(), end) == 0) ||
             pair.closed_calls() > 0;
    });
    return got;
  }
};

}  // namespace

TEST_CASE("master session: who a user is") {
  Fixture f;
  f.backend.disable("off@mydomain.com");
  f.backend.break_database("down@mydomain.com", "the database is down");
  CHECK(f.handshake.substr(0, 17) == "VERSION\t1\t1\nSPID\t");
  CHECK(f.say("VERSION\t1\t1\nUSER\t1\tlisi@mydomain.com\tservice=lmtp\n") ==
        "USER\t1\tlisi@mydomain.com\tuid=5000\tgid=5001\thome=/var/mail/vhosts/mydomain.com/lisi\n");
  CHECK(f.say("PASS\t2\tlisi@mydomain.com\tservice=lmtp\n") == "PASS\t2\tuser=lisi@mydomain.com\n");
  for (const auto* command : {"USER", "PASS"}) {
    CHECK(f.say(std::string(command) + "\t3\tnobody@mydomain.com\n") == "NOTFOUND\t3\n");
    CHECK(f.say(std::string(command) + "\t4\toff@mydomain.com\n") == "NOTFOUND\t4\n");
    CHECK(f.say(std::string(command) + "\t5\tdown@mydomain.com\n") == "FAIL\t5\treason=the database is down\n");
  }
  CHECK(f.say("CACHE-FLUSH\t6\n") == "FAIL\t6\treason=vmail-authd only answers questions here\n");
  CHECK_FALSE(f.pair.closed());
}

TEST_CASE("master session: requests are answered in their order") {
  Fixture f;
  CHECK(f.say("PASS\t1\tlisi@mydomain.com\nLIST\t2\nPASS\t3\tnobody@mydomain.com\n", "NOTFOUND\t3\n") ==
        "PASS\t1\tuser=lisi@mydomain.com\nDONE\t2\nNOTFOUND\t3\n");
}

TEST_CASE("master session: a list of any length, and one that breaks off") {
  Fixture f;
  f.backend.list(50000);  // more than a channel may hold at once
  const auto all = f.say("LIST\t1\tservice=doveadm\n", "DONE\t1\n");
  CHECK(std::count(all.begin(), all.end(), '\n') == 50001);
  CHECK(all.substr(0, 25) == "LIST\t1\tu1@mydomain.com\nLI");
  CHECK(all.find("LIST\t1\tu50000@mydomain.com\nDONE\t1\n") != std::string::npos);

  f.backend.list(1000, 400);
  const auto part = f.say("LIST\t2\n", "DONE\t2\tfail\n");
  CHECK(std::count(part.begin(), part.end(), '\n') == 401);
  CHECK_FALSE(f.pair.closed());
}

TEST_CASE("master session: a list is not made for somebody who does not take it") {
  Fixture f;
  f.backend.list(1000000);
  f.pair.write("LIST\t1\n");
  f.backend.until([&] { return f.backend.asked() > 20; });
  std::size_t asked = 0;
  // What sockets hold is bounded, so it comes to rest.
  while (asked != f.backend.asked()) {
    asked = f.backend.asked();
    f.pair.settle();
  }
  CHECK(asked < 1000);
  f.pair.abort();
  f.pair.settle();
  CHECK(f.backend.asked() == asked);
}

TEST_CASE("master session: what is no request ends the connection") {
  Fixture f;
  SECTION("an unknown command") {
    f.pair.write("AUTH\t1\tPLAIN\n");
  }
  SECTION("another version") {
    f.pair.write("VERSION\t2\t0\n");
  }
  SECTION("a line without end") {
    f.pair.write(std::string(8193, 'x'));
  }
  CHECK(f.say("").empty());
  CHECK(f.pair.closed());
}

TEST_CASE("master session: the end of the daemon waits for the answer") {
  Fixture f;
  f.backend.hold();
  f.pair.write("PASS\t1\tlisi@mydomain.com\n");
  f.pair.drain();
  CHECK_FALSE(f.pair.closed());
  f.backend.release();
  CHECK(f.say("") == "PASS\t1\tuser=lisi@mydomain.com\n");
  CHECK(f.pair.closed());
}
