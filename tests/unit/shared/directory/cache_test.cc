#include "shared/directory/cache.h"

#include <set>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace std::chrono_literals;
using namespace vmail::directory;
using vmail::test::ManualClock;

namespace {

AddressRow on() {
  AddressRow row;
  row.mailbox = AddressRow::Mailbox::On;
  return row;
}

struct Fixture {
  ManualClock clock;
  Cache<AddressRow> cache{1U << 20};

  void put(const std::string& key, AddressRow row = on(), bool known = true) {
    cache.put(key, std::move(row), clock.now(), known);
  }
  bool has(const std::string& key) { return cache.find(key) != nullptr; }
};

}  // namespace

TEST_CASE("of two results the later question's stays") {
  Fixture f;
  const auto early = f.clock.now();
  f.clock.advance(1s);
  f.put("a");
  f.cache.put("a", {}, early, true);
  REQUIRE(f.has("a"));
  CHECK(f.cache.find("a")->row.mailbox == AddressRow::Mailbox::On);
  f.clock.advance(1s);
  f.put("a", {});
  CHECK(f.cache.find("a")->row.empty());
  CHECK(f.cache.size() == 1);
  f.cache.forget("a");
  CHECK_FALSE(f.has("a"));
  CHECK(f.cache.bytes() == 0);
}

TEST_CASE("the bound holds, and what was used last stays") {
  Fixture f;
  AddressRow row;
  row.destinations = {std::string(1000, 'x')};
  f.put("kept", row);
  const auto each = f.cache.bytes();
  f.cache.set_limit(each * 10);
  for (int i = 0; i < 100; ++i) {
    f.put("key" + std::to_string(i), row);
    CHECK(f.has("kept"));
    CHECK(f.cache.bytes() <= each * 10 + 100);
  }
  CHECK(f.cache.size() <= 10);
  CHECK(f.cache.evicted() >= 90);
  CHECK(f.has("key99"));
  CHECK_FALSE(f.has("key0"));
  f.cache.set_limit(0);
  CHECK(f.cache.size() == 0);
  CHECK(f.cache.bytes() == 0);
}

TEST_CASE("a flood of unknown addresses drives out no known one") {
  Fixture f;
  f.put("known");
  f.put("known+step", {}, true);
  const auto each = f.cache.bytes();
  f.cache.set_limit(each * 20);
  for (int i = 0; i < 1000; ++i) f.put("unknown" + std::to_string(i), {}, false);
  CHECK(f.cache.peek("known") != nullptr);
  CHECK(f.cache.peek("known+step") != nullptr);
  CHECK(f.cache.size() > 5);
  CHECK(f.cache.bytes() <= each * 7);
  // What turns out to be known changes its list.
  f.put("unknown999", on(), true);
  for (int i = 0; i < 1000; ++i) f.put("more" + std::to_string(i), {}, false);
  CHECK(f.has("unknown999"));
}

TEST_CASE("a walk sees all entries, some at a time") {
  Fixture f;
  for (int i = 0; i < 1000; ++i) f.put("key" + std::to_string(i));
  std::set<std::string> seen;
  std::size_t turns = 0, bucket = 0;
  do {
    bucket = f.cache.walk(bucket, 100, [&](const auto& entry) { seen.insert(entry.key); });
    ++turns;
  } while (bucket != 0);
  CHECK(seen.size() == 1000);
  CHECK(turns >= 10);
  f.cache.clear();
  f.cache.walk(0, std::size_t(-1), [](const auto&) { FAIL("cleared"); });
}
