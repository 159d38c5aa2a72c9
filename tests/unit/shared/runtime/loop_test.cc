#include "shared/runtime/loop.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.h"

using vmail::Loop;
using vmail::Timer;

namespace {

constexpr auto kSoon = std::chrono::milliseconds(1);
// Longer than any test runs.
constexpr auto kNever = std::chrono::hours(1);

}  // namespace

TEST_CASE("what is posted runs later, on the loop, in order") {
  Loop loop;
  std::vector<int> seen;
  loop.post([&] {
    seen.push_back(1);
    loop.post([&] { seen.push_back(3); });
    seen.push_back(2);
  });
  CHECK(seen.empty());
  loop.run_ready();
  CHECK(seen == std::vector<int>{1, 2, 3});
}

TEST_CASE("posts from other threads run on the loop thread") {
  Loop loop;
  int sum = 0;
  bool on_loop = true;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        loop.post([&] {
          on_loop = on_loop && loop.on_loop();
          if (++sum == 400) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  CHECK(sum == 400);
  CHECK(on_loop);
}

TEST_CASE("what has not run is destroyed with the loop") {
  const auto alive = std::make_shared<int>(0);
  {
    Loop loop;
    loop.post([alive] { FAIL("it ran"); });
    CHECK(alive.use_count() == 2);
  }
  CHECK(alive.use_count() == 1);
}

TEST_CASE("a timer calls once") {
  Loop loop;
  Timer timer(loop), end(loop);
  int calls = 0;
  timer.start(kSoon, [&] { ++calls; });
  end.start(std::chrono::milliseconds(20), [&] { loop.stop(); });
  loop.run();
  CHECK(calls == 1);
}

TEST_CASE("a timer that was cancelled, replaced or destroyed does not call") {
  Loop loop;
  std::vector<std::string> seen;
  Timer cancelled(loop), replaced(loop), end(loop);
  std::optional<Timer> destroyed;
  destroyed.emplace(loop);
  cancelled.start(kSoon, [&] { seen.push_back("cancelled"); });
  replaced.start(kSoon, [&] { seen.push_back("first"); });
  destroyed->start(kSoon, [&] { seen.push_back("destroyed"); });

  SECTION("before they are due") {}
  SECTION("when they are due already, but have not run") {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  cancelled.cancel();
  cancelled.cancel();
  replaced.start(kSoon, [&] { seen.push_back("second"); });
  destroyed.reset();
  end.start(std::chrono::milliseconds(20), [&] { loop.stop(); });
  loop.run();
  CHECK(seen == std::vector<std::string>{"second"});
}

TEST_CASE("a timer cancelled by another that is due at the same turn does not call") {
  Loop loop;
  Timer a(loop), b(loop);
  int calls = 0;
  a.start(kSoon, [&] {
    ++calls;
    b.cancel();
  });
  b.start(kSoon, [&] {
    ++calls;
    a.cancel();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  loop.run_ready();
  loop.run_ready();
  CHECK(calls == 1);
}

TEST_CASE("a timer may start again, or end, inside its own call") {
  Loop loop;
  int calls = 0;
  auto timer = std::make_unique<Timer>(loop);
  std::function<void()> tick = [&] {
    if (++calls < 3) {
      timer->start(kSoon, [&] { tick(); });
    } else {
      timer.reset();
      loop.stop();
    }
  };
  timer->start(kSoon, [&] { tick(); });
  loop.run();
  CHECK(calls == 3);
}

TEST_CASE("a timer lets go of what it captured when it is cancelled") {
  Loop loop;
  const auto alive = std::make_shared<int>(0);
  Timer timer(loop);
  timer.start(kNever, [alive] {});
  CHECK(alive.use_count() == 2);
  timer.cancel();
  CHECK(alive.use_count() == 1);
}
