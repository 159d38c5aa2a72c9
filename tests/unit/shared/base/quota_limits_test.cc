#include "shared/base/quota_limits.h"

#include "tests/support/catch.h"

using vmail::has_room;
using vmail::kQuotaGrace;
using vmail::QuotaLimits;

TEST_CASE("room by bytes, with a grace for what is not full yet") {
  const QuotaLimits limits{100000, 0};
  CHECK(limits.any());
  CHECK(has_room(limits, 0, 1000000, 100000));
  CHECK(has_room(limits, 99999, 0, 1 + kQuotaGrace));
  CHECK_FALSE(has_room(limits, 99999, 0, 2 + kQuotaGrace));
  CHECK_FALSE(has_room(limits, 100000, 0, 0));
  CHECK_FALSE(has_room(limits, 200000, 0, 1));
  CHECK_FALSE(has_room(limits, 0, 0, UINT64_MAX));
}

TEST_CASE("room by messages") {
  CHECK(has_room({0, 10}, UINT64_MAX, 9, UINT64_MAX));
  CHECK_FALSE(has_room({0, 10}, 0, 10, 0));
  CHECK_FALSE(has_room({1000, 10}, 0, 11, 0));
}

TEST_CASE("without limits there is always room") {
  CHECK_FALSE(QuotaLimits{}.any());
  CHECK(has_room({}, UINT64_MAX, UINT64_MAX, UINT64_MAX));
}
