#include "shared/directory/validity.h"

#include "shared/directory/breaker.h"
#include "shared/directory/guard.h"
#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace std::chrono_literals;
using namespace vmail::directory;
using vmail::Duration;
using vmail::Instant;
using vmail::test::ManualClock;
using Kind = Validity::Kind;

namespace {

struct Fixture {
  ManualClock clock;
  Validity validity{Validity::Lifetimes{60s, 15s, 45s, 1h, 5s}};

  bool expired(Instant read_at, Kind kind = Kind::Found, const char* key = "a@x.org") {
    return validity.expired(key, kind, read_at, clock.now());
  }
};

}  // namespace

TEST_CASE("without a feed each kind has its lifetime, from when it was asked for") {
  Fixture f;
  const Instant read = f.clock.now();
  const struct {
    Kind kind;
    Duration lifetime;
  } cases[] = {{Kind::NotFound, 15s}, {Kind::Credentials, 45s}, {Kind::Found, 60s}};
  Duration gone{};
  for (const auto& c : cases) {
    f.clock.advance(c.lifetime - 1ms - gone);
    CHECK_FALSE(f.expired(read, c.kind));
    f.clock.advance(1ms);
    CHECK(f.expired(read, c.kind));
    gone = c.lifetime;
  }
}

TEST_CASE("with a feed it is an hour, for as long as the feed is read") {
  Fixture f;
  f.validity.follow(f.clock.now(), f.clock.now());
  f.clock.advance(1s);
  const Instant read = f.clock.now();
  for (int i = 0; i < 3599; ++i) {
    f.validity.follow(read - 1s, f.clock.now());
    f.clock.advance(1s);
    CHECK_FALSE(f.expired(read, Kind::NotFound));
  }
  SECTION("an hour is the end") {
    f.clock.advance(1s);
    CHECK(f.expired(read));
  }
  SECTION("when the feed is not read any more, the short lifetimes run from its last reading") {
    const Instant young = f.clock.now() - 60s;
    f.clock.advance(13s);
    CHECK_FALSE(f.expired(young, Kind::NotFound));
    f.clock.advance(1s);
    CHECK(f.expired(young, Kind::NotFound));
    CHECK_FALSE(f.expired(young, Kind::Found));
    f.clock.advance(45s);
    CHECK(f.expired(young, Kind::Found));
    CHECK(f.validity.right_at(young) == f.clock.now() - 60s);
  }
  SECTION("what was read before it was followed is not covered") {
    CHECK(f.expired(read - 2s));
    CHECK(f.validity.right_at(read - 2s) == read - 2s);
  }
  SECTION("no feed any more") {
    f.validity.unfollow();
    CHECK(f.expired(read));
    CHECK_FALSE(f.validity.is_followed(f.clock.now()));
  }
}

TEST_CASE("what was read before a change is in doubt, what was read after it is not") {
  Fixture f;
  const Instant before = f.clock.now();
  f.clock.advance(1s);
  const auto doubted = [&](Instant read, const char* key) { return f.validity.doubted(key, read); };
  SECTION("one key") {
    f.validity.doubt("a@x.org", f.clock.now());
    CHECK(doubted(before, "a@x.org"));
    CHECK(doubted(f.clock.now(), "a@x.org"));
    CHECK_FALSE(doubted(f.clock.now() + 1ms, "a@x.org"));
    CHECK_FALSE(doubted(before, "b@x.org"));
  }
  SECTION("a domain, its catch-all too") {
    f.validity.doubt_domain("x.org", f.clock.now());
    CHECK(doubted(before, "a@x.org"));
    CHECK(doubted(before, "@x.org"));
    CHECK_FALSE(doubted(before, "a@sub.x.org"));
    CHECK_FALSE(doubted(f.clock.now() + 1ms, "a@x.org"));
  }
  SECTION("everything") {
    f.validity.doubt("a@x.org", f.clock.now());
    f.validity.doubt_all(f.clock.now());
    CHECK(doubted(before, "b@y.org"));
    CHECK(f.validity.marks() == 0);
    CHECK_FALSE(doubted(f.clock.now() + 1ms, "a@x.org"));
  }
  SECTION("more marks than memory is worth: everything") {
    for (int i = 0; i < 100001; ++i) f.validity.doubt(std::to_string(i) + "@x.org", f.clock.now());
    CHECK(f.validity.marks() <= 1);
    CHECK(doubted(before, "never@y.org"));
  }
}

TEST_CASE("marks go when nothing needs them") {
  Fixture f;
  f.validity.doubt("old@x.org", f.clock.now());
  f.validity.doubt("needed@x.org", f.clock.now());
  f.validity.doubt_domain("x.org", f.clock.now());
  f.clock.advance(1min);
  f.validity.doubt("young@x.org", f.clock.now());
  f.validity.sweep(f.clock.now() - 30s, [](std::string_view key, Instant) { return key == "needed@x.org"; });
  CHECK(f.validity.marks() == 3);
  f.validity.sweep_domains(f.clock.now());
  CHECK(f.validity.marks() == 2);
}

TEST_CASE("the breaker: closed, open, half open, closed") {
  ManualClock clock;
  Breaker breaker;
  const Instant first = clock.now();
  clock.advance(1s);
  CHECK(breaker.closed());
  SECTION("a failure while others are answered does not open it") {
    CHECK_FALSE(breaker.succeeded(clock.now()));
    CHECK_FALSE(breaker.failed(first, "slow"));
    CHECK(breaker.closed());
  }
  SECTION("a failure after which nothing was answered does") {
    breaker.succeeded(first - 1s);
    CHECK(breaker.failed(first, "away"));
    CHECK(breaker.reason() == "away");
    CHECK_FALSE(breaker.failed(first, "still away"));
    breaker.probing();
    CHECK(breaker.state() == Breaker::State::HalfOpen);
    CHECK_FALSE(breaker.closed());
    SECTION("a probe that fails leaves it open") {
      CHECK_FALSE(breaker.failed(clock.now(), "still away"));
      CHECK(breaker.state() == Breaker::State::Open);
    }
    SECTION("any answer closes it") {
      CHECK(breaker.succeeded(clock.now()));
      CHECK(breaker.closed());
      CHECK(breaker.reason().empty());
    }
  }
}

TEST_CASE("the guard: how much may be gone") {
  ManualClock clock;
  Guard guard(clock, 50);
  const struct {
    std::size_t before, now;
    bool plausible;
  } cases[] = {{0, 0, true},   {1, 0, true},          {2, 0, false},         {9, 0, false},
               {9, 1, true},   {10, 5, true},         {10, 4, false},        {10, 12, true},
               {0, 100, true}, {100000, 50000, true}, {100000, 49999, false}};
  for (const auto& c : cases) {
    CAPTURE(c.before, c.now);
    CHECK(guard.plausible(c.before, c.now) == c.plausible);
  }
  CHECK_FALSE(guard.confirm());
  guard.trip("a reading has 0 instead of 100");
  CHECK(guard.tripped());
  CHECK(guard.since() == clock.wall());
  SECTION("confirmed: what comes next is believed, once") {
    CHECK(guard.confirm());
    CHECK_FALSE(guard.tripped());
    CHECK(guard.plausible(100, 0));
    guard.accepted();
    CHECK_FALSE(guard.plausible(100, 0));
  }
  SECTION("the rows are put back") {
    guard.accepted();
    CHECK_FALSE(guard.tripped());
    CHECK_FALSE(guard.plausible(100, 0));
  }
  SECTION("no limit") {
    guard.set_max_loss(100);
    CHECK(guard.plausible(100, 0));
  }
}
