// The small types that everything is made of: outcome, secret, descriptor, callable, mutex.
#include <fcntl.h>

#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "shared/base/move_only_function.h"
#include "shared/base/mutex.h"
#include "shared/base/outcome.h"
#include "shared/base/secret.h"
#include "shared/base/unique_fd.h"
#include "tests/support/catch.h"

using namespace vmail;

TEST_CASE("an outcome holds a value only when Found") {
  using Text = Outcome<std::string>;
  CHECK(Text::found("x").value() == "x");
  CHECK(Text::found("x").is_found());
  CHECK(Text::not_found().status() == Status::NotFound);
  CHECK(Text::disabled().status() == Status::Disabled);
  const auto away = Text::temp_fail("the database is away");
  CHECK(away.is_temp_fail());
  CHECK(away.reason() == "the database is away");

  const auto other = Outcome<int>::without_value(away);
  CHECK(other.is_temp_fail());
  CHECK(other.reason() == away.reason());

  auto owned = Outcome<std::unique_ptr<int>>::found(std::make_unique<int>(7));
  CHECK(*std::move(owned).value() == 7);
}

TEST_CASE("wipe overwrites what a string held") {
  // Long enough to lie on the heap, and the buffer stays the string's: its bytes may be looked at afterwards.
  std::string text(100, 'p');
  text.reserve(200);
  const char* bytes = text.data();
  wipe(text);
  CHECK(text.empty());
  CHECK(text.data() == bytes);
  text.resize(100);  // makes the bytes part of the string again, as zeros or what was there
  CHECK(text == std::string(100, '\0'));
}

TEST_CASE("a secret leaves nothing behind") {
  static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
  SECTION("in the string it was taken from") {
    std::string from = "short";
    const char* bytes = from.data();
    const Secret secret = Secret::take(from);
    CHECK(secret.view() == "short");
    CHECK(from.empty());
    CHECK(std::string(bytes, 5) == std::string(5, '\0'));
  }
  SECTION("in the one it was moved from, when that is short") {
    Secret a("short");
    const char* bytes = a.text().data();
    const Secret b(std::move(a));
    CHECK(b.view() == "short");
    CHECK(a.empty());
    CHECK(std::string(bytes, 5) == std::string(5, '\0'));
  }
  SECTION("in the one it was moved from, which gave its memory away") {
    const std::string text(100, 'x');
    Secret a(text);
    const char* bytes = a.text().data();
    const Secret b(std::move(a));
    CHECK(b.view() == text);
    CHECK(b.text().data() == bytes);
    CHECK(a.empty());
  }
  SECTION("by assignment") {
    Secret a("first"), b("second");
    a = std::move(b);
    CHECK(a.view() == "second");
    CHECK(b.empty());
    Secret& same = a;
    a = std::move(same);
    CHECK(a.view() == "second");
    CHECK(a.copy().view() == "second");
  }
}

TEST_CASE("a descriptor is closed once") {
  const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    UniqueFd a(fd);
    UniqueFd b(std::move(a));
    CHECK_FALSE(a);
    CHECK(b.get() == fd);
    UniqueFd& same = b;
    b = std::move(same);
    CHECK(is_open(fd));
    UniqueFd c(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int other = c.get();
    c = std::move(b);
    CHECK_FALSE(is_open(other));
    CHECK(is_open(fd));
  }
  CHECK_FALSE(is_open(fd));
  UniqueFd kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int released = kept.release();
  kept.reset();
  CHECK(is_open(released));
  ::close(released);
}

TEST_CASE("a callable may own what it captures") {
  MoveOnlyFunction<int(int)> none;
  CHECK_FALSE(none);
  auto alive = std::make_shared<int>(1);
  {
    MoveOnlyFunction<int(int)> add = [owned = std::make_unique<int>(40), alive](int n) { return *owned + n; };
    CHECK(add(2) == 42);
    MoveOnlyFunction<int(int)> moved = std::move(add);
    CHECK_FALSE(add);
    CHECK(moved(1) == 41);
    CHECK(alive.use_count() == 2);
    moved = nullptr;
    CHECK(alive.use_count() == 1);
  }
  // Arguments that can only be moved pass through, and state is kept between calls.
  MoveOnlyFunction<std::unique_ptr<int>(std::unique_ptr<int>)> pass = [](std::unique_ptr<int> p) { return p; };
  CHECK(*pass(std::make_unique<int>(5)) == 5);
  MoveOnlyFunction<int()> count = [n = 0]() mutable { return ++n; };
  count();
  CHECK(count() == 2);
}

TEST_CASE("the mutex excludes and the condition wakes") {
  Mutex mutex;
  Condition changed;
  int turns = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 100; ++n) {
        Lock lock(mutex);
        while (turns % 4 != i) changed.wait(mutex);
        ++turns;
        changed.notify_all();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(turns == 400);
}
