#include "dovecot-auth/tick.h"

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace std::chrono_literals;
using namespace vmail;
using auth::leaving;
using auth::Pace;

namespace {
const Instant kZero{};
constexpr Pace kPace{1s, 500ms};
}  // namespace

TEST_CASE("tick: answers leave at a tick, a second after the arrival at the earliest") {
  const struct {
    Duration arrival, now, leaves;
  } cases[] = {
      {10s, 10s, 11s},
      {10s, 10s + 1ms, 11s},
      {10s, 10s + 900ms, 11s},
      {10s, 11s, 11s},
      {10s, 11s + 1ms, 11500ms},
      {10s + 1ms, 10s + 2ms, 11500ms},
      {10s + 499ms, 10s + 600ms, 11500ms},
      {10s, 16200ms, 16500ms},
  };
  for (const auto& test : cases) CHECK(leaving(kZero + test.arrival, kZero + test.now, kPace) == kZero + test.leaves);
}

TEST_CASE("tick: what a decision took does not show, up to the second that every failure waits") {
  for (auto arrival = 0ms; arrival < 1000ms; arrival += 7ms) {
    const Instant first = leaving(kZero + arrival, kZero + arrival, kPace);
    for (auto took = 0ms; took <= 1000ms; took += 50ms) {
      CHECK(leaving(kZero + arrival, kZero + arrival + took, kPace) == first);
    }
    CHECK(first.time_since_epoch() % 500ms == 0ms);
  }
}

TEST_CASE("tick: without ticks and delay an answer leaves at once") {
  CHECK(leaving(kZero + 3s, kZero + 4s, {0s, 0s}) == kZero + 4s);
}

TEST_CASE("tick: answers leave in the order of their times, and one may bring the next") {
  Loop loop;
  test::ManualClock clock;
  auth::TickQueue queue(loop, clock);
  std::string left;
  const Instant now = clock.now();
  queue.leave_at(now, [&] { left += 'b'; });
  queue.leave_at(now - 1s, [&] {
    left += 'a';
    queue.leave_at(now, [&] { left += 'd'; });
  });
  queue.leave_at(now, [&] { left += 'c'; });
  queue.leave_at(now + 1h, [&] { left += 'x'; });
  CHECK(left.empty());
  for (int i = 0; i < 10; ++i) loop.run_ready();
  CHECK(left == "abcd");
}
