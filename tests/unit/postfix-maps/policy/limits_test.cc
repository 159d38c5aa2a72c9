// Limits over a clock that the test moves, and a journal that two of them may share.
#include "postfix-maps/policy/limits.h"

#include <map>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace vmail;
using namespace vmail::policy;
using namespace std::chrono_literals;
using directory::UsageAnswer;
using directory::UsageQuestion;

namespace {

// What the tables hold: amounts by counter, slot and writer.
struct Tables {
  std::map<std::string, std::map<std::int64_t, std::map<int, std::int64_t>>> usage;
  std::vector<directory::HeldMessage> held;
  int writers = 0;
  int exchanges = 0;
  bool down = false;
};

class FakeJournal final : public directory::UsageJournal {
 public:
  FakeJournal(Loop& loop, Tables& tables) : loop_(loop), tables_(tables), writer_(++tables.writers) {}

  void exchange(UsageQuestion question, Instant, Done<UsageAnswer> done) override {
    ++tables_.exchanges;
    UsageAnswer answer;
    for (const auto& [counter, totals, from] : question.counters) {
      auto& slots = tables_.usage[counter.subject + ' ' + counter.measure];
      auto& sums = answer.emplace_back();
      if (tables_.down) continue;
      for (const auto& [slot, amount] : totals) slots[slot][writer_] = std::max(slots[slot][writer_], amount);
      for (const auto& [slot, amounts] : slots) {
        std::int64_t sum = 0;
        for (const auto& [writer, amount] : amounts) sum += writer == writer_ ? 0 : amount;
        if (slot >= from && sum != 0) sums.emplace_back(slot, sum);
      }
    }
    post(std::move(done), std::move(answer));
  }
  void hold(std::vector<directory::HeldMessage> messages, Instant, Done<bool> done) override {
    if (!tables_.down) tables_.held.insert(tables_.held.end(), messages.begin(), messages.end());
    post(std::move(done), true);
  }
  void stop() override {}

 private:
  template <class T>
  void post(Done<T> done, T value) {
    loop_.post([done = std::move(done), value = std::move(value), down = tables_.down]() mutable {
      done(down ? Outcome<T>::temp_fail("away") : Outcome<T>::found(std::move(value)));
    });
  }
  Loop& loop_;
  Tables& tables_;
  const int writer_;
};

struct Fixture {
  Loop loop;
  test::ManualClock clock;
  Tables tables;
  Limits::Settings settings{Verdict::What::Reject, 2, 1s};
  std::vector<config::Limit> limits;
  std::unique_ptr<Limits> one = make();
  std::unique_ptr<Limits> two = make();

  std::unique_ptr<Limits> make() {
    return std::make_unique<Limits>(loop, clock, std::make_unique<FakeJournal>(loop, tables), "host", settings);
  }
  void use(std::initializer_list<const char*> texts) {
    std::string why;
    for (const char* text : texts) limits.push_back(config::parse_limit(text, why).value());
  }
  Sent sent(std::uint64_t recipients, const std::string& login = "u@d.org") {
    Sent message{login, "192.0.2.7", "QUEUEID", recipients, 1000, {}, limits};
    for (std::uint64_t i = 0; i < recipients; ++i) message.distinct.push_back(i);
    return message;
  }
  Verdict count(Limits& which, Sent message) {
    std::optional<Verdict> late;
    auto verdict = which.count(std::move(message), [&](const Verdict& answer) { late = answer; });
    for (int i = 0; i < 4 && !verdict && !late; ++i) loop.run_ready();
    REQUIRE((verdict || late));
    return verdict ? *verdict : *late;
  }
  bool passes(Limits& which, Sent message) { return count(which, std::move(message)).what == Verdict::What::Within; }
  // Until what is due at once has been written.
  void settle() {
    for (int i = 0; i < 4; ++i) loop.run_ready();
  }
};

}  // namespace

TEST_CASE("a limit holds over its window, and no longer") {
  Fixture f;
  f.use({"recipients 10/1h"});
  CHECK(f.passes(*f.one, f.sent(6)));
  CHECK(f.passes(*f.one, f.sent(4)));
  CHECK_FALSE(f.passes(*f.one, f.sent(1)));
  CHECK(f.passes(*f.one, f.sent(1, "other@d.org")));
  f.clock.advance(55min);
  CHECK_FALSE(f.passes(*f.one, f.sent(1)));
  f.clock.advance(9min);
  CHECK(f.passes(*f.one, f.sent(10)));
}

TEST_CASE("what is refused does not count") {
  Fixture f;
  f.use({"recipients 10/1h"});
  CHECK(f.passes(*f.one, f.sent(8)));
  CHECK_FALSE(f.passes(*f.one, f.sent(3)));
  CHECK(f.passes(*f.one, f.sent(2)));
}

TEST_CASE("each measure and each scope is counted for itself") {
  Fixture f;
  SECTION("messages") {
    f.use({"messages 2/1h"});
    CHECK(f.passes(*f.one, f.sent(100)));
    CHECK(f.passes(*f.one, f.sent(100)));
    CHECK_FALSE(f.passes(*f.one, f.sent(1)));
  }
  SECTION("bytes") {
    f.use({"bytes 2K/1h"});
    CHECK(f.passes(*f.one, f.sent(1)));
    CHECK(f.passes(*f.one, f.sent(1)));
    CHECK_FALSE(f.passes(*f.one, f.sent(1)));
  }
  SECTION("the same recipients again and again are no new ones") {
    f.use({"distinct-recipients 5/1h"});
    CHECK(f.passes(*f.one, f.sent(4)));
    CHECK(f.passes(*f.one, f.sent(4)));
    CHECK(f.passes(*f.one, f.sent(5)));
    CHECK_FALSE(f.passes(*f.one, f.sent(6)));
    f.clock.advance(2h);
    CHECK(f.passes(*f.one, f.sent(5)));
  }
  SECTION("a domain's limit is that of all its logins together") {
    f.use({"domain messages 2/1h"});
    CHECK(f.passes(*f.one, f.sent(1, "a@d.org")));
    CHECK(f.passes(*f.one, f.sent(1, "b@d.org")));
    CHECK_FALSE(f.passes(*f.one, f.sent(1, "c@d.org")));
    CHECK(f.passes(*f.one, f.sent(1, "c@e.org")));
  }
  SECTION("a network") {
    f.use({"network messages 1/1h"});
    CHECK(f.passes(*f.one, f.sent(1, "a@d.org")));
    CHECK_FALSE(f.passes(*f.one, f.sent(1, "a@e.org")));
  }
  SECTION("none") {
    f.use({"messages none"});
    for (int i = 0; i < 50; ++i) CHECK(f.passes(*f.one, f.sent(1)));
    CHECK(f.tables.exchanges == 0);
  }
}

TEST_CASE("far from the limit only the first message asks; what has been sent is written within a second") {
  Fixture f;
  f.use({"recipients 1000/1h"});
  for (int i = 0; i < 5; ++i) CHECK(f.passes(*f.one, f.sent(5)));
  CHECK(f.tables.exchanges == 1);
  CHECK(f.passes(*f.one, f.sent(20)));  // too much that the others do not know of
  CHECK(f.tables.exchanges == 2);
  CHECK(f.tables.usage["u@d.org recipients"].size() == 1);
}

TEST_CASE("two hosts share a limit, whatever the order") {
  Fixture f;
  f.use({"recipients 1000/1h"});
  std::uint64_t through = 0;
  for (int i = 0; i < 1000; ++i) {
    // Not alternating: the one runs ahead, then the other.
    Limits& which = i / 7 % 2 == 0 ? *f.one : *f.two;
    if (f.passes(which, f.sent(3))) through += 3;
  }
  CHECK(through >= 990);
  CHECK(through <= 1050);
}

TEST_CASE("a restart loses only what was not written") {
  Fixture f;
  f.use({"recipients 100/1h"});
  for (int i = 0; i < 9; ++i) CHECK(f.passes(*f.one, f.sent(10)));
  f.settle();
  f.one = f.make();
  CHECK_FALSE(f.passes(*f.one, f.sent(11)));
  CHECK(f.passes(*f.one, f.sent(10)));
  f.settle();
  f.one = f.make();
  CHECK_FALSE(f.passes(*f.one, f.sent(1)));
}

TEST_CASE("without the database the limit goes on in memory, and is merged later") {
  Fixture f;
  f.use({"recipients 100/1h"});
  f.tables.down = true;
  for (int i = 0; i < 5; ++i) CHECK(f.passes(*f.one, f.sent(20)));
  CHECK_FALSE(f.passes(*f.one, f.sent(1)));
  CHECK_FALSE(f.one->shared());
  CHECK(f.passes(*f.two, f.sent(1)));
  f.tables.down = false;
  f.clock.advance(2s);
  CHECK_FALSE(f.passes(*f.one, f.sent(1)));  // asks, and so writes
  CHECK(f.one->shared());
  CHECK_FALSE(f.passes(*f.two, f.sent(3)));
}

TEST_CASE("a reset by the administrator is a negative amount of another writer") {
  Fixture f;
  f.use({"recipients 10/1h"});
  CHECK(f.passes(*f.one, f.sent(10)));
  CHECK_FALSE(f.passes(*f.one, f.sent(1)));
  f.settle();
  auto& slots = f.tables.usage["u@d.org recipients"];
  REQUIRE(slots.size() == 1);
  slots.begin()->second[99] = -10;
  CHECK(f.passes(*f.one, f.sent(10)));
  CHECK_FALSE(f.passes(*f.one, f.sent(1)));
}

TEST_CASE("at the limit") {
  Fixture f;
  f.use({"recipients 10/1h"});
  SECTION("messages are held up to a number, and written down") {
    f.settings.at_limit = Verdict::What::Hold;
    f.one = f.make();
    CHECK(f.passes(*f.one, f.sent(10)));
    const Verdict first = f.count(*f.one, f.sent(5));
    CHECK(first.what == Verdict::What::Hold);
    CHECK(first.first);
    CHECK(first.used == 15);
    CHECK(config::limit_text(first.limit) == "recipients 10/1h");
    const Verdict second = f.count(*f.one, f.sent(5));
    CHECK(second.what == Verdict::What::Hold);
    CHECK_FALSE(second.first);
    CHECK(f.count(*f.one, f.sent(5)).what == Verdict::What::Reject);
    f.settle();
    REQUIRE(f.tables.held.size() == 2);
    CHECK(f.tables.held[0].login == "u@d.org");
    CHECK(f.tables.held[0].queue_id == "QUEUEID");
    CHECK(f.tables.held[0].host == "host");
  }
  SECTION("a warning lets it pass") {
    f.settings.at_limit = Verdict::What::Warn;
    f.one = f.make();
    CHECK(f.passes(*f.one, f.sent(10)));
    CHECK(f.count(*f.one, f.sent(5)).what == Verdict::What::Warn);
    CHECK(f.count(*f.one, f.sent(5)).used == 20);
  }
  SECTION("a message that is larger than the limit never passes") {
    CHECK_FALSE(f.passes(*f.one, f.sent(11)));
    CHECK(f.passes(*f.one, f.sent(10)));
  }
}

TEST_CASE("networks of clients") {
  CHECK(network_of("192.0.2.7") == "192.0.2.0/24");
  CHECK(network_of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64");
  CHECK(network_of("unknown").empty());
  CHECK(network_of("").empty());
}
