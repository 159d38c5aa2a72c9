#include "dovecot-auth/throttle/throttle.h"

#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace std::chrono_literals;
using namespace vmail;
using auth::Throttle;
using What = Throttle::Ruling::What;

namespace {

Throttle::Rules rules() {
  Throttle::Rules rules;
  rules.passwords = 5;
  rules.accounts = 4;
  rules.window = 1h;
  rules.known = 24h;
  rules.trusted = Networks({"10.0.0.0/8", "127.0.0.0/8"});
  return rules;
}

struct Fixture {
  test::ManualClock clock;
  Throttle throttle{rules()};

  What what(const std::string& account, const std::string& ip) const {
    return throttle.rule(account, ip, clock.now()).what;
  }
  // Asks first, as a login does: what is stopped does not get as far as failing.
  bool guess(const std::string& account, const std::string& ip, const std::string& password) {
    if (what(account, ip) == What::Stop) return false;
    throttle.failed(account, ip, password, clock.now());
    return true;
  }
  int guesses(const std::string& account, const std::string& ip, int tries, const std::string& stem = "guess") {
    int made = 0;
    for (int i = 0; i < tries; ++i) made += guess(account, ip, stem + std::to_string(i)) ? 1 : 0;
    return made;
  }
};

}  // namespace

TEST_CASE("throttle: guessing passwords of one account is slowed, then stopped, from wherever it comes") {
  Fixture f;
  for (int i = 0; i < 5; ++i) {
    CAPTURE(i);
    CHECK(f.what("u@d.org", "192.0.2.1") == (i < 3 ? What::Open : What::Slow));
    CHECK(f.guess("u@d.org", "192.0.2." + std::to_string(i), "guess" + std::to_string(i)));
  }
  CHECK(f.what("u@d.org", "198.51.100.1") == What::Stop);
  CHECK(f.what("u@d.org", "") == What::Stop);
  CHECK(f.what("U@D.ORG", "198.51.100.1") == What::Stop);
  CHECK(f.what("v@d.org", "198.51.100.1") == What::Open);
  CHECK(f.throttle.rule("u@d.org", "", f.clock.now()).why.find("wrong passwords") != std::string::npos);
}

TEST_CASE("throttle: the delay grows, and never beyond its bound") {
  Fixture f;
  Duration before{};
  for (int i = 0; i < 4; ++i) {
    f.guess("u@d.org", "192.0.2.1", std::to_string(i));
    const auto ruling = f.throttle.rule("u@d.org", "192.0.2.1", f.clock.now());
    CHECK(ruling.delay >= before);
    CHECK(ruling.delay <= Throttle::kMaxDelay);
    before = ruling.delay;
  }
  CHECK(before > 1s);
}

TEST_CASE("throttle: the same wrong password over and over counts once") {
  Fixture f;
  for (int i = 0; i < 10000; ++i) {
    f.clock.advance(1s);
    CHECK(f.guess("u@d.org", "192.0.2.1", "the old one"));
  }
  CHECK(f.what("u@d.org", "192.0.2.1") == What::Open);
  CHECK(f.guesses("u@d.org", "192.0.2.1", 100) >= 4);
  CHECK_FALSE(f.guess("u@d.org", "192.0.2.1", "the old one"));
}

TEST_CASE("throttle: a failure without a password counts each time") {
  Fixture f;
  int made = 0;
  for (int i = 0; i < 10; ++i) made += f.guess("u@d.org", "192.0.2.1", "") ? 1 : 0;
  CHECK(made == 5);
}

TEST_CASE("throttle: spraying accounts from one network is stopped, whether they exist or not") {
  Fixture f;
  int made = 0;
  for (int i = 0; i < 20; ++i)
    made += f.guess("user" + std::to_string(i) + "@d.org", "192.0.2.1", "Spring2024") ? 1 : 0;
  CHECK(made == 4);
  CHECK(f.what("yet-another@d.org", "192.0.2.1") == What::Stop);
  CHECK(f.what("no address at all", "192.0.2.1") == What::Stop);
  CHECK(f.what("yet-another@d.org", "192.0.2.2") == What::Open);
  CHECK(f.throttle.rule("x", "192.0.2.1", f.clock.now()).why.find("192.0.2.1") != std::string::npos);
}

TEST_CASE("throttle: an IPv6 network is a /64, and the /56 that it is in may do four times as much") {
  Fixture f;
  int made = 0;
  for (int i = 0; i < 10; ++i) {
    made += f.guess("user" + std::to_string(i), "2001:db8:0:100::" + std::to_string(i + 1), "x") ? 1 : 0;
  }
  CHECK(made == 4);
  CHECK(f.what("user", "2001:db8:0:100:ffff::1") == What::Stop);
  CHECK(f.what("user", "2001:db8:0:101::1") == What::Open);
  // One address of each of its networks after the other.
  for (int i = 0; i < 100; ++i) {
    char ip[64];
    std::snprintf(ip, sizeof ip, "2001:db8:0:1%02x::1", static_cast<unsigned>(i + 1));
    made += f.guess("other" + std::to_string(i), ip, "x") ? 1 : 0;
  }
  CHECK(made == 16);
  CHECK(f.what("user", "2001:db8:0:1ff::1") == What::Stop);
  CHECK(f.what("user", "2001:db8:0:200::1") == What::Open);
}

TEST_CASE("throttle: an IPv4 address is one network however it is written") {
  Fixture f;
  for (int i = 0; i < 4; ++i) f.guess("user" + std::to_string(i), i % 2 == 0 ? "192.0.2.1" : "::ffff:192.0.2.1", "x");
  CHECK(f.what("user", "192.0.2.1") == What::Stop);
  CHECK(Throttle::source("192.0.2.1") == Throttle::source("::ffff:192.0.2.1"));
  CHECK(Throttle::source("192.0.2.1") != Throttle::source("192.0.2.2"));
  CHECK(Throttle::source("2001:db8::1") == Throttle::source("2001:db8::2"));
  CHECK(Throttle::source("nonsense").empty());
}

TEST_CASE("throttle: a network where the account has logged in well stays open to it, and to it alone") {
  Fixture f;
  f.throttle.succeeded("u@d.org", "192.0.2.1", f.clock.now());
  SECTION("when others guess its password elsewhere") {
    f.guesses("u@d.org", "198.51.100.1", 10);
    CHECK(f.what("u@d.org", "198.51.100.1") == What::Stop);
    CHECK(f.what("u@d.org", "192.0.2.1") == What::Open);
  }
  SECTION("when others spray from there") {
    for (int i = 0; i < 10; ++i) f.guess("user" + std::to_string(i), "192.0.2.1", "x");
    CHECK(f.what("user", "192.0.2.1") == What::Stop);
    CHECK(f.what("u@d.org", "192.0.2.1") == What::Open);
  }
  SECTION("its own mistakes there close nothing") {
    CHECK(f.guesses("u@d.org", "192.0.2.1", 20) == 20);
    CHECK(f.what("u@d.org", "203.0.113.1") == What::Open);
  }
  SECTION("but guessing without end from there does") {
    CHECK(f.guesses("u@d.org", "192.0.2.1", 200) < 60);
    CHECK(f.what("u@d.org", "192.0.2.1") == What::Stop);
  }
  SECTION("for a time") {
    f.clock.advance(23h);
    f.guesses("u@d.org", "198.51.100.1", 10);
    CHECK(f.what("u@d.org", "192.0.2.1") == What::Open);
    f.clock.advance(1h);
    f.guesses("u@d.org", "198.51.100.1", 10, "more");
    CHECK(f.what("u@d.org", "192.0.2.1") == What::Stop);
  }
  SECTION("of the last eight networks") {
    for (int i = 2; i < 9; ++i) {
      f.clock.advance(1s);
      f.throttle.succeeded("u@d.org", "192.0.2." + std::to_string(i), f.clock.now());
    }
    f.guesses("u@d.org", "198.51.100.1", 10);
    CHECK(f.what("u@d.org", "192.0.2.1") == What::Open);
    f.throttle.succeeded("u@d.org", "192.0.2.9", f.clock.now());
    CHECK(f.what("u@d.org", "192.0.2.1") == What::Stop);
    CHECK(f.what("u@d.org", "192.0.2.9") == What::Open);
  }
}

TEST_CASE("throttle: counts drain away evenly") {
  Fixture f;
  CHECK(f.guesses("u@d.org", "192.0.2.1", 10) == 5);
  f.clock.advance(12min);  // a fifth of the window
  CHECK(f.guesses("u@d.org", "192.0.2.1", 10, "next") == 1);
  f.clock.advance(1h);
  CHECK(f.what("u@d.org", "192.0.2.1") == What::Open);
  CHECK(f.guesses("u@d.org", "192.0.2.1", 10, "last") == 5);
}

TEST_CASE("throttle: trusted networks, and peers that name none, are not counted as networks") {
  for (const char* ip : {"10.1.2.3", "127.0.0.1", "", "unix"}) {
    CAPTURE(ip);
    Fixture f;
    for (int i = 0; i < 100; ++i) CHECK(f.guess("user" + std::to_string(i), ip, "x"));
    CHECK(f.throttle.networks() == 0);
    // What is guessed of one account counts all the same, and a webmail server is no network that an account is known
    // at.
    f.throttle.succeeded("u@d.org", ip, f.clock.now());
    CHECK(f.guesses("u@d.org", ip, 10) == 5);
  }
}

TEST_CASE("throttle: zero means any number") {
  Fixture f;
  auto none = rules();
  none.passwords = none.accounts = 0;
  f.throttle.set(none);
  for (int i = 0; i < 100; ++i) CHECK(f.guess("user" + std::to_string(i % 50), "192.0.2.1", std::to_string(i)));
  CHECK(f.what("user1", "192.0.2.1") == What::Open);
}

TEST_CASE("throttle: a flood from a million sources stays in bounded memory") {
  Fixture f;
  f.throttle.succeeded("u@d.org", "192.0.2.1", f.clock.now());
  for (unsigned i = 0; i < 1'000'000; ++i) {
    const std::string ip =
        std::to_string(11 + (i >> 16)) + '.' + std::to_string(i >> 8 & 255) + '.' + std::to_string(i & 255) + ".9";
    f.throttle.failed("made-up-" + std::to_string(i), ip, "x", f.clock.now());
  }
  CHECK(f.throttle.accounts() == 65536);
  CHECK(f.throttle.networks() == 65536);
  // What stays open stays so: good logins are remembered elsewhere.
  f.guesses("u@d.org", "198.51.100.1", 10);
  CHECK(f.what("u@d.org", "198.51.100.1") == What::Stop);
  CHECK(f.what("u@d.org", "192.0.2.1") == What::Open);
}

TEST_CASE("throttle: what was touched least lately makes room") {
  test::ManualClock clock;
  Throttle throttle(rules(), 3);
  for (const char* account : {"a", "b", "c", "a", "d"}) throttle.failed(account, "", "x", clock.now());
  CHECK(throttle.accounts() == 3);
  CHECK(throttle.why("b", clock.now()).empty());
  CHECK(throttle.why("a", clock.now()).size() == 1);
}

TEST_CASE("throttle: show, why and clear") {
  Fixture f;
  f.throttle.succeeded("u@d.org", "203.0.113.7", f.clock.now());
  f.guesses("u@d.org", "192.0.2.1", 10);
  f.guess("v@d.org", "2001:db8::5", "x");
  const auto all = f.throttle.show(10, f.clock.now());
  REQUIRE(all.size() == 5);  // two accounts, three networks
  CHECK(all[0].name == "u@d.org");
  CHECK(all[0].what == What::Stop);
  CHECK(all[0].last == "192.0.2.1");
  CHECK(all[0].known == std::vector<std::string>{"203.0.113.7"});
  CHECK(all[0].opens_in == 12min);
  CHECK(f.throttle.show(1, f.clock.now()).size() == 1);

  CHECK(f.throttle.why("nobody", f.clock.now()).empty());
  const auto six = f.throttle.why("2001:db8::9", f.clock.now());
  REQUIRE(six.size() == 2);
  CHECK(six[0].name == "2001:db8::/64");
  CHECK(six[1].name == "2001:db8::/56");
  CHECK(six[0].last == "v@d.org");

  CHECK(f.throttle.clear("2001:db8::1") == 2);
  CHECK(f.throttle.clear("U@d.org") == 1);
  CHECK(f.what("u@d.org", "192.0.2.1") == What::Open);
  CHECK(f.throttle.why("u@d.org", f.clock.now()).size() == 1);  // where it is known
  CHECK(f.throttle.clear("") == 2);
  CHECK(f.throttle.show(10, f.clock.now()).empty());
}

TEST_CASE("throttle: it survives a restart, and goes on draining meanwhile") {
  Fixture f;
  f.throttle.succeeded("u@d.org", "203.0.113.7", f.clock.now());
  f.throttle.succeeded("u@d.org", "2001:db8::1", f.clock.now());
  f.guesses("u@d.org", "192.0.2.1", 10, "hunter");
  for (int i = 0; i < 9; ++i) f.guess("name with blanks " + std::to_string(i) + "\n", "2001:db8:5::1", "x");
  const std::string saved = f.throttle.save(f.clock.now(), f.clock.wall());
  CHECK(saved.find("hunter") == std::string::npos);

  // Another boot: the instants have nothing to do with those before.
  test::ManualClock clock;
  clock.advance(std::chrono::hours(3));
  Throttle throttle(rules());
  const auto rule = [&](const char* account, const char* ip) { return throttle.rule(account, ip, clock.now()).what; };
  CHECK(throttle.load(saved, clock.now(), f.clock.wall()));
  CHECK(rule("u@d.org", "198.51.100.1") == What::Stop);
  CHECK(rule("u@d.org", "203.0.113.7") == What::Open);
  CHECK(rule("u@d.org", "2001:db8::2") == What::Open);
  CHECK(rule("v@d.org", "2001:db8:5::2") == What::Stop);
  CHECK(throttle.save(clock.now(), f.clock.wall()) == saved);

  Throttle later(rules());
  CHECK(later.load(saved, clock.now(), f.clock.wall() + 30min));
  CHECK(later.rule("u@d.org", "198.51.100.1", clock.now()).what == What::Open);
  Throttle back(rules());
  CHECK(back.load(saved, clock.now(), f.clock.wall() - 1000h));
  CHECK(back.rule("u@d.org", "198.51.100.1", clock.now()).what == What::Stop);
  Throttle much_later(rules());
  CHECK(much_later.load(saved, clock.now(), f.clock.wall() + 24h));
  CHECK(much_later.why("u@d.org", clock.now()).at(0).known.empty());
}

TEST_CASE("throttle: a damaged file is told, and what can be read of it counts") {
  Fixture f;
  for (const char* text : {"", "x", "vmailkit-throttle 2 1700000000\n", "vmailkit-throttle 1 now\n",
                           "vmailkit-throttle 1 99999999999999999999\n"}) {
    CAPTURE(text);
    CHECK_FALSE(f.throttle.load(text, f.clock.now(), f.clock.wall()));
  }
  const std::string head = "vmailkit-throttle 1 1700000000\n";
  CHECK(f.throttle.load(head, f.clock.now(), f.clock.wall()));
  for (const char* line :
       {"account\n", "account 5000\n", "account 5000 \n", "account -1 x\n", "account 9999999999999 x\n",
        "network 5000 192.0.2.1 127\n", "network 5000 x 128\n", "network 5000 192.0.2.1\n", "known 1 192.0.2.1 128\n",
        "known 1 192.0.2.1 129 u@d.org\n", "what 1 x\n", "\n"}) {
    CAPTURE(line);
    Throttle throttle(rules());
    CHECK_FALSE(throttle.load(head + line + "account 5000 good@d.org\n", f.clock.now(), f.clock.wall()));
    CHECK(throttle.accounts() <= 1);
  }
  // Cut off in the middle of a line.
  CHECK_FALSE(f.throttle.load(head + "account 5000 u@d.o", f.clock.now(), f.clock.wall()));
}
