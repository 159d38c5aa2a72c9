#include "shared/directory/row_set.h"

#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/allocations.h"
#include "tests/support/catch.h"

using vmail::AddressList;
using vmail::directory::AddressRow;
using vmail::directory::RowSet;

namespace {

constexpr std::size_t kPlenty = 64U << 20;

AddressRow mailbox(bool on = true, const std::string& domain = "") {
  AddressRow row;
  row.mailbox = on ? AddressRow::Mailbox::On : AddressRow::Mailbox::Off;
  row.domain = domain;
  return row;
}

AddressRow alias(const AddressList& destinations) {
  AddressRow row;
  row.destinations = destinations;
  return row;
}

AddressRow alias_off() {
  AddressRow row;
  row.aliases_off = true;
  return row;
}

AddressRow fault(const std::string& text) {
  AddressRow row;
  row.fault = text;
  return row;
}

struct Part {
  std::string key;
  std::uint64_t order;
  AddressRow row;
};

std::shared_ptr<const RowSet> set_of(const std::vector<Part>& parts) {
  RowSet::Builder builder(kPlenty);
  for (const auto& part : parts) builder.add(part.key, part.order, part.row);
  return builder.finish();
}

std::map<std::string, AddressRow> all(const RowSet& set) {
  std::map<std::string, AddressRow> rows;
  set.each([&](std::string_view key, const AddressRow& row) {
    CHECK(rows.emplace(key, row).second);
    return true;
  });
  return rows;
}

AddressRow find(const RowSet& set, std::string_view key) {
  AddressRow row;
  REQUIRE(set.find(key, row));
  return row;
}

// 40 bytes.
std::string address(unsigned i) {
  const std::string number = std::to_string(100'000'000 + i);
  return "user-" + number + "@mail.of.customers.example";
}

}  // namespace

TEST_CASE("a set without rows knows of none") {
  const auto set = set_of({});
  AddressRow row = mailbox();
  CHECK_FALSE(set->find("a@example.org", row));
  CHECK(row == AddressRow());
  CHECK_FALSE(set->contains(""));
  CHECK(set->size() == 0);
  CHECK(all(*set).empty());
}

TEST_CASE("every row is found as it was added, and no other") {
  AddressRow both = mailbox(false,
                            "b\xc3\xbc"
                            "cher.example");
  both.destinations = AddressList{"x@example.org", "y@example.org"};
  const std::map<std::string, AddressRow> rows = {
      {"on@example.org", mailbox()},
      {"off@example.org", mailbox(false)},
      {"alias@example.org", alias({"on@example.org"})},
      {"list@example.org", alias({"b@example.org", "a@example.org", "c@example.org"})},
      {"alias-off@example.org", alias_off()},
      {"both@xn--bcher-kva.example", both},
      {"bad@example.org", fault("two rows")},
      {"@example.org", alias({"@other.example"})},
      {std::string(254, 'k'), mailbox()},
  };
  std::vector<Part> parts;
  for (const auto& [key, row] : rows) parts.push_back({key, parts.size(), row});
  const auto set = set_of(parts);
  CHECK(set->size() == rows.size());
  CHECK(all(*set) == rows);
  for (const auto& [key, row] : rows) {
    CAPTURE(key);
    CHECK(set->contains(key));
    CHECK(find(*set, key) == row);
    CHECK_FALSE(set->contains(key + "x"));
    CHECK_FALSE(set->contains(key.substr(1)));
  }
  AddressRow row = both;
  CHECK_FALSE(set->find("example.org", row));
  CHECK(row == AddressRow());
}

TEST_CASE("a visit ends when it says so") {
  const auto set = set_of({{"a", 1, mailbox()}, {"b", 2, mailbox()}, {"c", 3, mailbox()}});
  int visits = 0;
  set->each([&](std::string_view, const AddressRow&) { return ++visits < 2; });
  CHECK(visits == 2);
}

TEST_CASE("parts make the same row in whatever order they come") {
  std::vector<Part> parts = {
      {"u@example.org", 7, mailbox(true, "Example.org")},
      {"u@example.org", 3, alias({"c@example.org"})},
      {"u@example.org", 1, alias({"b@example.org", "a@example.org"})},
      {"u@example.org", 5, alias({"a@example.org", "d@example.org", "c@example.org"})},
      {"u@example.org", 2, alias_off()},
      {"other@example.org", 1, alias({"u@example.org"})},
  };
  AddressRow expected = mailbox(true, "Example.org");
  expected.destinations = AddressList{"b@example.org", "a@example.org", "c@example.org", "d@example.org"};
  std::vector<std::size_t> order = {0, 1, 2, 3, 4, 5};
  do {
    std::vector<Part> shuffled;
    for (const auto i : order) shuffled.push_back(parts[i]);
    const auto set = set_of(shuffled);
    REQUIRE(set->size() == 2);
    REQUIRE(find(*set, "u@example.org") == expected);
    REQUIRE(find(*set, "other@example.org") == parts[5].row);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("a destination that one part has twice is there once") {
  const auto set = set_of({{"u@example.org", 1, alias({"a@example.org", "b@example.org", "a@example.org"})}});
  CHECK(find(*set, "u@example.org").destinations == AddressList{"a@example.org", "b@example.org"});
}

TEST_CASE("aliases are off when none is on") {
  CHECK(find(*set_of({{"u", 1, alias_off()}, {"u", 2, alias_off()}}), "u") == alias_off());
  CHECK(find(*set_of({{"u", 1, alias_off()}, {"u", 2, alias({"a@b"})}}), "u") == alias({"a@b"}));
  AddressRow both = mailbox();
  both.aliases_off = true;
  CHECK(find(*set_of({{"u", 1, alias_off()}, {"u", 2, mailbox()}}), "u") == both);
}

TEST_CASE("a row with a fault has nothing else") {
  SECTION("the fault of a part, the first by order") {
    CHECK(find(*set_of({{"u", 9, fault("later")}, {"u", 1, mailbox()}, {"u", 4, fault("earlier")}}), "u") ==
          fault("earlier"));
  }
  SECTION("one part with a fault and more") {
    AddressRow row = mailbox();
    row.fault = "bad";
    row.destinations.add("a@b");
    CHECK(find(*set_of({{"u", 1, row}}), "u") == fault("bad"));
  }
  SECTION("two mailboxes") {
    const auto set = set_of({{"u@b", 1, mailbox()}, {"u@b", 2, alias({"a@b"})}, {"u@b", 3, mailbox(false)}});
    CHECK(find(*set, "u@b") == fault("there are two mailboxes u@b"));
  }
  SECTION("three") {
    const auto set = set_of({{"u@b", 1, mailbox()}, {"u@b", 2, mailbox()}, {"u@b", 3, mailbox()}});
    CHECK(find(*set, "u@b") == fault("there are two mailboxes u@b"));
  }
}

TEST_CASE("what has no key or says nothing is no row") {
  const auto set = set_of({{"", 1, mailbox()}, {"u@example.org", 1, AddressRow()}});
  CHECK(set->size() == 0);
  CHECK_FALSE(set->contains("u@example.org"));
}

TEST_CASE("a list of any length, and rows behind it") {
  constexpr unsigned kDestinations = 60'000;
  RowSet::Builder builder(kPlenty);
  builder.add("before@example.org", 1, mailbox());
  AddressList expected;
  for (unsigned i = 0; i < kDestinations; ++i) expected.add(address(i));
  // From the last to the first, and each twice.
  for (unsigned i = 2 * kDestinations; i > 0; --i) builder.add("list@example.org", i, alias({address((i - 1) / 2)}));
  builder.add("after@example.org", 1, mailbox());
  const auto set = builder.finish();
  CHECK(set->size() == 3);
  CHECK((find(*set, "list@example.org") == alias(expected)));
  CHECK(find(*set, "before@example.org") == mailbox());
  CHECK(find(*set, "after@example.org") == mailbox());
  CHECK(all(*set).size() == 3);
}

TEST_CASE("many rows in little memory") {
  constexpr unsigned kRows = 50'000;
  RowSet::Builder builder(kPlenty);
  for (unsigned i = 0; i < kRows; ++i) builder.add(address(i), i, mailbox(i % 3 != 0));
  for (unsigned i = 0; i < kRows; i += 5) builder.add(address(i), i, alias({address(i + 1)}));
  const auto set = builder.finish();
  CHECK(set->size() == kRows);
  CHECK(set->bytes() < kRows * std::size_t{65});
  unsigned wrong = 0;
  AddressRow row;
  for (unsigned i = 0; i < kRows; ++i) {
    AddressRow expected = mailbox(i % 3 != 0);
    if (i % 5 == 0) expected.destinations.add(address(i + 1));
    if (!set->find(address(i), row) || !(row == expected)) ++wrong;
    if (set->contains(address(i + kRows))) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(all(*set).size() == kRows);
}

TEST_CASE("a set that would be too large is not built") {
  constexpr std::size_t kMax = 100'000;
  const auto build = [&](unsigned rows) {
    RowSet::Builder builder(kMax);
    for (unsigned i = 0; i < rows; ++i) builder.add(address(i), i, mailbox());
    return builder.finish();
  };
  // Each takes 42 bytes and 10 in the table.
  const auto largest = build(kMax / 52);
  CHECK(largest->size() == kMax / 52);
  CHECK(largest->bytes() < kMax + 5000);
  CHECK_THROWS_AS(build(kMax / 52 + 1), RowSet::Builder::TooLarge);

  SECTION("as soon as it would be") {
    RowSet::Builder builder(0);
    CHECK_THROWS_AS(builder.add("u@example.org", 1, mailbox()), RowSet::Builder::TooLarge);
  }
  SECTION("also by parts of one row") {
    RowSet::Builder builder(kMax);
    const auto fill = [&] {
      for (unsigned i = 0; i < kMax; ++i) builder.add("list@example.org", i, alias({address(i)}));
    };
    CHECK_THROWS_AS(fill(), RowSet::Builder::TooLarge);
  }
}

TEST_CASE("to find a row allocates nothing once there is room for it") {
  AddressRow large = mailbox(true, "a-domain-that-needs-memory.example");
  large.destinations = AddressList{address(1), address(2)};
  const auto set = set_of({{"large@example.org", 1, large}, {"small@example.org", 1, mailbox()}});
  const std::string last = address(2);
  AddressRow row;
  REQUIRE(set->find("large@example.org", row));
  const auto before = vmail::test::allocations();
  bool right = true;
  for (int i = 0; i < 100; ++i) {
    right = right && set->find("small@example.org", row) && row.destinations.empty();
    right = right && !set->find("an-address-that-is-not-there@example.org", row);
    right = right && set->find("large@example.org", row) && row.destinations.contains(last);
    right = right && set->contains("small@example.org");
  }
  CHECK(vmail::test::allocations() == before);
  CHECK(right);
  CHECK(row == large);
}

TEST_CASE("several threads read one set") {
  constexpr unsigned kRows = 2000;
  RowSet::Builder builder(kPlenty);
  for (unsigned i = 0; i < kRows; ++i) builder.add(address(i), i, alias({address(i + 1)}));
  const auto set = builder.finish();
  std::vector<unsigned> found(4);
  std::vector<std::thread> threads;
  for (unsigned& count : found) {
    threads.emplace_back([&set, &count] {
      AddressRow row;
      for (unsigned i = 0; i < kRows; ++i)
        count += set->find(address(i), row) && row.destinations.contains(address(i + 1));
      set->each([&](std::string_view, const AddressRow&) { return ++count > 0; });
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(found == std::vector<unsigned>(4, 2 * kRows));
}
