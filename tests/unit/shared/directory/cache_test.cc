#include "shared/directory/cache.h"

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace std::chrono_literals;
using vmail::directory::AddressRow;
using vmail::directory::Cache;
using vmail::test::ManualClock;

namespace {

AddressRow on() {
  AddressRow row;
  row.mailbox = AddressRow::Mailbox::On;
  return row;
}

struct Fixture {
  ManualClock clock;
  Cache cache{clock, {1U << 20, 60s, 15s}};

  void put(const std::string& key, AddressRow row = on()) { cache.put(key, row, clock.now(), cache.generation()); }
  bool has(const char* key) { return cache.find(key) != nullptr; }
};

}  // namespace

TEST_CASE("rows live for their time, empty ones for a shorter one") {
  Fixture f;
  f.put("there");
  f.put("empty", {});
  AddressRow faulty = on();
  faulty.fault = "two rows";
  f.put("faulty", faulty);
  CHECK(f.has("there"));
  CHECK(f.has("empty"));
  CHECK_FALSE(f.has("other"));
  f.clock.advance(14999ms);
  CHECK(f.has("empty"));
  CHECK(f.has("faulty"));
  f.clock.advance(1ms);
  CHECK_FALSE(f.has("empty"));
  CHECK_FALSE(f.has("faulty"));
  CHECK(f.has("there"));
  f.clock.advance(45s);
  CHECK_FALSE(f.has("there"));
}

TEST_CASE("a lifetime begins when the question was asked") {
  Fixture f;
  const auto asked = f.clock.now();
  f.clock.advance(2s);
  f.cache.put("a", on(), asked, f.cache.generation());
  f.clock.advance(58s);
  CHECK_FALSE(f.has("a"));
}

TEST_CASE("a result that is older than a flush is not kept") {
  Fixture f;
  const auto before = f.cache.generation();
  SECTION("of everything") {
    f.cache.clear();
  }
  SECTION("of one key") {
    f.cache.forget({"b"});
  }
  f.cache.put("a", on(), f.clock.now(), before);
  CHECK_FALSE(f.has("a"));
  f.put("a");
  CHECK(f.has("a"));
}

TEST_CASE("of two results the later question's stays") {
  Fixture f;
  const auto early = f.clock.now();
  f.clock.advance(1s);
  f.put("a");
  f.cache.put("a", {}, early, f.cache.generation());
  REQUIRE(f.has("a"));
  CHECK(f.cache.find("a")->row.mailbox == AddressRow::Mailbox::On);
  f.clock.advance(1s);
  f.put("a", {});
  CHECK(f.cache.find("a")->row.empty());
  CHECK(f.cache.size() == 1);
}

TEST_CASE("forgetting keys and domains") {
  Fixture f;
  for (const char* key : {"a@x.org", "b@x.org", "@x.org", "a@sub.x.org", "a@y.org"}) f.put(key);
  f.cache.forget({"a@x.org"});
  CHECK_FALSE(f.has("a@x.org"));
  CHECK(f.has("b@x.org"));
  f.cache.forget({"@x.org"});
  CHECK_FALSE(f.has("b@x.org"));
  CHECK_FALSE(f.has("@x.org"));
  CHECK(f.has("a@sub.x.org"));
  CHECK(f.has("a@y.org"));
  f.cache.clear();
  CHECK(f.cache.size() == 0);
  CHECK(f.cache.bytes() == 0);
}

TEST_CASE("the bound holds, and what was used last stays") {
  Fixture f;
  AddressRow row;
  row.destinations = {std::string(1000, 'x')};
  f.put("kept", row);
  const auto each = f.cache.bytes();
  f.cache.set_limits({each * 10, 60s, 15s});
  for (int i = 0; i < 100; ++i) {
    f.put("key" + std::to_string(i), row);
    CHECK(f.has("kept"));
    CHECK(f.cache.bytes() <= each * 10 + 100);
  }
  CHECK(f.cache.size() <= 10);
  CHECK(f.cache.counters().evicted >= 90);
  CHECK(f.has("key99"));
  CHECK_FALSE(f.has("key0"));

  row.destinations = {std::string(each * 20, 'x')};
  f.put("too large", row);
  CHECK_FALSE(f.has("too large"));
  CHECK(f.has("kept"));

  f.cache.set_limits({0, 60s, 15s});
  CHECK(f.cache.size() == 0);
  CHECK(f.cache.bytes() == 0);
}
