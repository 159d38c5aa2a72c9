#include "dovecot-lmtp-store/quota_warnings.h"

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace vmail;
using store::passed;
using Change = maildir::Quota::Change;

TEST_CASE("a percentage is passed once, by bytes or messages") {
  const std::vector<unsigned> marks = {80, 95};
  const QuotaLimits limits{1000, 10};
  CHECK_FALSE(passed(marks, limits, {{0, 0}, {799, 1}}));
  CHECK(passed(marks, limits, {{799, 1}, {800, 2}}) == 80u);
  CHECK_FALSE(passed(marks, limits, {{800, 1}, {900, 2}}));
  CHECK(passed(marks, limits, {{900, 1}, {960, 2}}) == 95u);
  CHECK(passed(marks, limits, {{10, 1}, {2000, 2}}) == 95u);
  CHECK(passed(marks, limits, {{10, 7}, {20, 8}}) == 80u);
  CHECK_FALSE(passed(marks, limits, {{960, 1}, {100, 2}}));  // it gets emptier
  CHECK_FALSE(passed({}, limits, {{0, 0}, {2000, 20}}));
  CHECK_FALSE(passed(marks, {}, {{0, 0}, {2000, 20}}));
  const std::uint64_t huge = std::uint64_t{1} << 60;
  CHECK(passed(marks, {huge, 0}, {{huge / 100 * 79, 0}, {huge / 100 * 81, 0}}) == 80u);
}

TEST_CASE("the user is told by mail") {
  Loop loop;
  test::ManualClock clock;
  Notifier notifier(loop, clock, "127.0.0.1:1", "host.test");
  store::QuotaWarnings warnings(notifier, {"80%"});
  store::Recipient recipient;
  recipient.mailbox = {"u", "d.org", ""};
  recipient.quota = {1000, 0};
  warnings.changed(recipient, {{0, 0}, {700, 1}});
  CHECK(notifier.waiting() == 0);
  warnings.changed(recipient, {{700, 1}, {900, 2}});
  CHECK(notifier.waiting() == 1);
  warnings.reload({"95%"});
  warnings.changed(recipient, {{700, 1}, {900, 2}});
  CHECK(notifier.waiting() == 1);
}
