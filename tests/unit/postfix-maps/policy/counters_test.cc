#include "postfix-maps/policy/counters.h"

#include "postfix-maps/policy/recipients.h"
#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::policy;

namespace {
const UsageCounter kHour{"u@d.org", "messages", 3600};
}

TEST_CASE("slots cover the window, and one more") {
  for (const std::int64_t window : {60, 61, 90, 3600, 86400, 31 * 86400}) {
    const UsageCounter counter{"u@d.org", "messages", window};
    for (const std::int64_t now : {1700000000LL, 1700000001LL, 1700001234LL}) {
      INFO(window << " at " << now);
      const std::int64_t slot = counter.slot(now);
      CHECK(counter.first_slot(now + window) <= slot);  // what was sent a window ago still counts
      CHECK(counter.ends(slot) > now + window);
      CHECK(counter.ends(slot) <= now + window + 2 * counter.slot_length() + 20);
      CHECK(counter.first_slot(counter.ends(slot)) > slot);
    }
  }
}

TEST_CASE("an exchange that ends late takes nothing back") {
  Counters counters(10);
  counters.add(kHour, 3, 1000000);
  const directory::UsageQuestion first{{counters.question(kHour, 1000000)}};
  counters.add(kHour, 4, 1000000);
  CHECK(counters.unwritten(kHour) == 7);
  const directory::UsageQuestion second{{counters.question(kHour, 1000000)}};
  counters.exchanged(second, {{}});
  CHECK(counters.unwritten(kHour) == 0);
  counters.exchanged(first, {{}});
  CHECK(counters.unwritten(kHour) == 0);
  CHECK(counters.used(kHour, 1000000) == 7);
}

TEST_CASE("counters are bounded, and go when their window is over") {
  Counters counters(2);
  CHECK(counters.add(kHour, 1, 1000000));
  CHECK(counters.add({"v@d.org", "messages", 3600}, 1, 1000000));
  CHECK_FALSE(counters.add({"w@d.org", "messages", 3600}, 1, 1000000));
  counters.sweep(1000000 + 3600);
  CHECK(counters.size() == 2);
  counters.sweep(1000000 + 2 * 3600);
  CHECK(counters.size() == 0);
}

TEST_CASE("the recipients of a message are gathered by its instance") {
  Recipients recipients;
  const Instant now{std::chrono::hours(1)};
  recipients.add("1.a", "x@d.org", now);
  recipients.add("1.a", "y@d.org", now);
  recipients.add("1.a", "x@d.org", now);
  recipients.add("2.b", "x@d.org", now);
  recipients.add("", "x@d.org", now);
  recipients.add(std::string(5000, 'i'), "x@d.org", now);
  const auto of_one = recipients.take("1.a");
  CHECK(of_one.size() == 2);
  CHECK(recipients.take("1.a").empty());
  const auto of_two = recipients.take("2.b");
  REQUIRE(of_two.size() == 1);
  CHECK((of_two[0] == of_one[0] || of_two[0] == of_one[1]));
  CHECK(recipients.size() == 0);
}

TEST_CASE("messages that never end are forgotten, and there are not too many of them") {
  Recipients recipients;
  const Instant now{std::chrono::hours(1)};
  for (std::size_t i = 0; i < Recipients::kMaxMessages + 5; ++i) recipients.add(std::to_string(i), "x@d.org", now);
  CHECK(recipients.size() == Recipients::kMaxMessages);
  CHECK(recipients.take("0").empty());
  CHECK(recipients.take("5").size() == 1);
  recipients.add("new", "x@d.org", now + std::chrono::hours(2));
  CHECK(recipients.size() == 1);
}
