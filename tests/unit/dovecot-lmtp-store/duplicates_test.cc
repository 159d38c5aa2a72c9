#include "dovecot-lmtp-store/duplicates.h"

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace vmail;
using namespace vmail::store;

TEST_CASE("what was stored and not confirmed is known for an hour") {
  test::ManualClock clock;
  Duplicates duplicates(clock);
  CHECK_FALSE(duplicates.find("a"));
  duplicates.stored("a", "id.1", "file-a");
  duplicates.stored("b", "id.1", "file-b");
  duplicates.stored("c", "id.2", "file-c");
  CHECK(duplicates.find("a") == "file-a");
  duplicates.confirmed("id.1");
  CHECK_FALSE(duplicates.find("a"));
  CHECK_FALSE(duplicates.find("b"));
  CHECK(duplicates.find("c") == "file-c");
  duplicates.confirmed("id.1");  // again, and one that was never there
  duplicates.confirmed("id.9");
  clock.advance(std::chrono::minutes(60));
  CHECK(duplicates.find("c") == "file-c");
  clock.advance(std::chrono::seconds(1));
  CHECK_FALSE(duplicates.find("c"));
  duplicates.stored("d", "id.3", "file-d");
  CHECK(duplicates.size() == 1);
}

TEST_CASE("of too many the oldest go") {
  test::ManualClock clock;
  Duplicates duplicates(clock, 3);
  for (const char* key : {"a", "b", "c", "d"}) duplicates.stored(key, "id.1", key);
  CHECK(duplicates.size() == 3);
  CHECK_FALSE(duplicates.find("a"));
  CHECK(duplicates.find("b"));
  // Stored again, after all: the newer name counts, and it is young again.
  duplicates.stored("b", "id.2", "other");
  duplicates.stored("e", "id.2", "e");
  CHECK(duplicates.find("b") == "other");
  CHECK_FALSE(duplicates.find("c"));
  duplicates.confirmed("id.1");
  CHECK(duplicates.size() == 2);
  duplicates.confirmed("id.2");
  CHECK(duplicates.size() == 0);
}

TEST_CASE("no part of a key can be taken for another") {
  CHECK(duplicate_key("a", "bc", "d", "e") != duplicate_key("ab", "c", "d", "e"));
  CHECK(duplicate_key("a", "", "b", "e") != duplicate_key("a", "b", "", "e"));
  CHECK(duplicate_key("1:a", "b", "c", "d") != duplicate_key("", "a1:b", "c", "d"));
}
