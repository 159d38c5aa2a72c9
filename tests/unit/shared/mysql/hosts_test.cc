#include "shared/mysql/hosts.h"

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace std::chrono_literals;
using vmail::Duration;
using vmail::Instant;
using vmail::mysql::Host;
using vmail::mysql::Hosts;
using vmail::test::ManualClock;

namespace {

constexpr auto kFirst = Hosts::Choice::First;
constexpr auto kNearest = Hosts::Choice::Nearest;

// Hosts a, b, c... over a clock that the test moves.
struct Fixture {
  explicit Fixture(std::size_t count, Hosts::Choice choice = kFirst, Duration retry_after_max = 8s)
      : hosts(clock, named(count), "user", Hosts::Rules{choice, 1s, retry_after_max}) {}

  static std::vector<Host> named(std::size_t count) {
    std::vector<Host> list;
    for (std::size_t i = 0; i < count; ++i) list.push_back(vmail::mysql::parse_host(std::string(1, char('a' + i))));
    return list;
  }
  // Whom the next question asks; -1: nobody.
  int picked() {
    const auto host = hosts.pick();
    return host ? static_cast<int>(*host) : -1;
  }
  void fail(std::size_t host, bool hanging = false) { hosts.failed(host, clock.now(), "refused", hanging); }
  void probe(std::size_t host, Duration round_trip = 1ms) { hosts.probed(host, clock.now(), "", round_trip); }
  // As the prober does: each that is due, all of which are well.
  void probe_all(const std::vector<Duration>& round_trips) {
    for (std::size_t i = 0; i < round_trips.size(); ++i) probe(i, round_trips[i]);
    clock.advance(1s);
  }

  ManualClock clock;
  Hosts hosts;
};

}  // namespace

TEST_CASE("everybody asks the current host until it fails, and then the next") {
  Fixture f(3);
  CHECK(f.picked() == 0);
  CHECK(f.hosts.tries(0) == 3);
  f.fail(0);
  CHECK(f.picked() == 1);
  CHECK(f.hosts.tries(1) == 2);
  f.fail(1);
  CHECK(f.picked() == 2);
  CHECK(f.hosts.status().host == "c:3306");
  CHECK(f.hosts.status().changes == 2);
  // A question alone does not come back, however long it has been.
  f.clock.advance(1h);
  f.hosts.works(2, f.clock.now());
  CHECK(f.picked() == 2);
}

TEST_CASE("a probe brings the earlier host back, when it has been left alone long enough") {
  // The jitter is up to a quarter less: below three quarters it is never looked at.
  Fixture f(2);
  for (const auto pause : {1000ms, 2000ms, 4000ms, 8000ms}) {
    CAPTURE(pause.count());
    f.fail(0);
    const Instant failed = f.clock.now();
    CHECK(f.picked() == 1);
    const Instant due = f.hosts.probe_at(0, failed);
    CHECK(due >= failed + pause * 75 / 100);
    CHECK(due <= failed + pause);
    f.probe(0);
    CHECK(f.picked() == 1);
    f.clock.advance(due - failed);
    f.probe(0);
    CHECK(f.picked() == 0);
  }
  // It has been up for long: the next failure is one like the first.
  f.clock.advance(8s);
  f.fail(0);
  CHECK(f.hosts.probe_at(0, f.clock.now()) <= f.clock.now() + 1s);
}

TEST_CASE("the same failure, seen by several workers, counts once") {
  Fixture f(2);
  for (int worker = 0; worker < 8; ++worker) f.fail(0);
  CHECK(f.hosts.probe_at(0, f.clock.now()) <= f.clock.now() + 1s);
}

TEST_CASE("news that are older than what is known count for nothing") {
  Fixture f(2);
  const Instant before = f.clock.now();
  f.clock.advance(10ms);
  f.fail(0);
  f.hosts.works(0, before);
  f.hosts.probed(0, before, "", 1ms);
  CHECK(f.hosts.is_down(0));
  const Instant between = f.clock.now();
  f.clock.advance(1s);
  f.probe(0);
  CHECK(f.picked() == 0);
  f.hosts.failed(0, between, "a connection that took long to fail");
  CHECK(f.picked() == 0);
}

TEST_CASE("when all are down each is tried again, however long the pauses have become") {
  Fixture f(2, kFirst, 600s);
  for (int i = 0; i < 10; ++i) {
    f.fail(0);
    f.hosts.failed(1, f.clock.now(), "refused as well");
    CHECK(f.picked() == -1);
    CHECK(f.hosts.probe_at(0, f.clock.now()) <= f.clock.now() + 1s);
    f.clock.advance(1s);
    const int one = f.picked();
    REQUIRE(one != -1);
    f.fail(static_cast<std::size_t>(one));
    CHECK(f.picked() == 1 - one);
    f.fail(static_cast<std::size_t>(1 - one));
    CHECK(f.picked() == -1);
    f.clock.advance(1s);
  }
  CHECK(f.hosts.tries(0) == 1);
  f.hosts.connected(1, "");
  CHECK(f.picked() == 1);
}

TEST_CASE("a connection that is held goes on being used on a host that takes no new ones") {
  Fixture f(1);
  f.fail(0);
  CHECK_FALSE(f.hosts.pick());
  CHECK(f.hosts.pick(0) == std::optional<std::size_t>(0));
  f.clock.advance(10ms);
  f.hosts.works(0, f.clock.now());
  CHECK_FALSE(f.hosts.is_down(0));

  f.fail(0, true);
  CHECK_FALSE(f.hosts.pick(0));
}

TEST_CASE("who waits for a host that hangs is told, when there is another one") {
  Fixture f(2);
  std::vector<std::size_t> told;
  f.hosts.listen(&f, [&](std::size_t host) { told.push_back(host); });
  f.fail(0);
  CHECK(told.empty());
  f.hosts.failed(0, f.clock.now(), "hangs", true);
  CHECK(told == std::vector<std::size_t>{0});
  f.hosts.failed(1, f.clock.now(), "hangs as well", true);
  CHECK(told.size() == 1);
  f.hosts.forget(&f);
  f.hosts.failed(0, f.clock.now(), "still", true);
  CHECK(told.size() == 1);
}

TEST_CASE("a node that is not synced is asked when there is no better one") {
  Fixture f(2);
  f.hosts.connected(0, "donor");
  CHECK(f.picked() == 1);
  CHECK(f.hosts.tries(1) == 2);
  f.hosts.connected(1, "donor as well");
  CHECK(f.picked() == 1);
  f.probe(0);
  CHECK(f.picked() == 0);
  f.fail(0);
  CHECK(f.picked() == 1);
  f.fail(1);
  f.clock.advance(1s);
  // Of two that were down the one that is not synced is better than none, and gives way to one that is.
  f.hosts.connected(1, "donor");
  CHECK(f.picked() == 1);
  f.hosts.connected(0, "");
  CHECK(f.picked() == 0);
  f.hosts.works(0, f.clock.now());
  CHECK(f.picked() == 0);
}

TEST_CASE("a host that is read only is passed over and asked again when no other is left") {
  Fixture f(2);
  f.hosts.read_only(0, f.clock.now(), "read only");
  CHECK(f.picked() == 1);
  f.clock.advance(1h);
  CHECK(f.picked() == 1);
  f.hosts.read_only(1, f.clock.now(), "read only as well");
  CHECK(f.picked() == 0);
}

TEST_CASE("the nearest is chosen when all have been measured") {
  Fixture f(3, kNearest);
  CHECK(f.picked() == 0);
  f.probe(0, 5ms);
  f.probe(2, 1ms);
  CHECK(f.picked() == 0);
  f.probe(1, 3ms);
  CHECK(f.picked() == 2);
  // The next nearest when it fails.
  f.fail(2);
  CHECK(f.picked() == 1);
}

TEST_CASE("a host that is down does not hold up the choice of the nearest") {
  Fixture f(3, kNearest);
  f.fail(1);
  f.probe(0, 5ms);
  f.probe(2, 1ms);
  CHECK(f.picked() == 2);
}

TEST_CASE("the nearest is left for a nearer one only by a margin, for a while") {
  Fixture f(2, kNearest);
  f.probe_all({2ms, 2ms});
  CHECK(f.picked() == 0);
  SECTION("a little nearer is not enough") {
    for (int i = 0; i < 100; ++i) f.probe_all({2000us, 1600us});
    CHECK(f.picked() == 0);
  }
  SECTION("between hosts on one machine all differences are noise") {
    for (int i = 0; i < 100; ++i) f.probe_all({150us, 40us});
    CHECK(f.hosts.status().changes == 0);
  }
  SECTION("a spike is not enough") {
    for (int i = 0; i < 20; ++i) {
      f.probe_all({20ms, 2ms});
      for (int well = 0; well < 8; ++well) f.probe_all({2ms, 2ms});
    }
    CHECK(f.picked() == 0);
  }
  SECTION("it stays nearer") {
    int rounds = 0;
    while (f.picked() == 0 && rounds < 100) {
      f.probe_all({4ms, 1ms});
      ++rounds;
    }
    CHECK(rounds >= 10);
    CHECK(rounds < 20);
    // And not back for nothing.
    for (int i = 0; i < 100; ++i) f.probe_all({1200us, 1ms});
    CHECK(f.picked() == 1);
  }
}

TEST_CASE("the nearest comes back by being measured again") {
  Fixture f(2, kNearest);
  f.probe_all({1ms, 5ms});
  f.fail(0);
  CHECK(f.picked() == 1);
  int rounds = 0;
  while (f.picked() == 1 && rounds < 100) {
    f.probe_all({1ms, 5ms});
    ++rounds;
  }
  CHECK(rounds < 20);
}

TEST_CASE("how often a host is looked at") {
  Fixture f(2);
  const Instant now = f.clock.now();
  CHECK(f.hosts.probe_at(0, now) == now + 1s);
  CHECK(f.hosts.probe_at(1, Instant{}) <= now);
  CHECK_FALSE(f.hosts.answered_since(0, now));
  f.hosts.works(0, now);
  CHECK(f.hosts.answered_since(0, now));
}

TEST_CASE("the status tells who answers, since when, and what last failed") {
  Fixture f(1);
  const auto start = f.clock.wall();
  CHECK_FALSE(f.hosts.status().answers);
  CHECK(f.hosts.status().since == start);
  CHECK(f.hosts.status().last_failure.empty());
  f.clock.advance(1s);
  f.hosts.works(0, f.clock.now());
  f.clock.advance(1s);
  f.hosts.works(0, f.clock.now());
  CHECK(f.hosts.status().answers);
  CHECK(f.hosts.status().since == start + 1s);
  f.clock.advance(1s);
  f.hosts.failed(0, f.clock.now(), "it hangs", true);
  f.clock.advance(1s);
  f.hosts.failed(0, f.clock.now(), "refused");
  CHECK_FALSE(f.hosts.status().answers);
  CHECK(f.hosts.status().since == start + 3s);
  CHECK(f.hosts.status().last_failure == "refused");
  CHECK(f.hosts.status().host == "a:3306");
}
