#include "shared/base/key_filter.h"

#include <string>

#include "shared/base/seeded_hash.h"
#include "tests/support/catch.h"

using namespace vmail;

TEST_CASE("a filter knows every key it was given, and rules out most others") {
  constexpr HashKey kKey{1, 2};
  const auto hash = [&](int number) { return siphash(kKey, std::to_string(number)); };
  KeyFilter filter;
  int wrong = 0;
  for (int i = 0; i < 1000; ++i) wrong += filter.may_have(hash(i)) ? 1 : 0;
  CHECK(wrong == 0);
  for (int i = 0; i < 1000; ++i) filter.add(hash(i));
  for (int i = 0; i < 1000; ++i) REQUIRE(filter.may_have(hash(i)));
  for (int i = 1000; i < 11000; ++i) wrong += filter.may_have(hash(i)) ? 1 : 0;
  CHECK(wrong < 500);  // 1,000 of 32,768 bits: 3 in 100 are expected
  filter.clear();
  CHECK_FALSE(filter.may_have(hash(1)));
}
