// The administrator's maps over a database that the test holds: what is asked, what is remembered, and what is served
// while nothing can be asked.
#include "shared/directory/query_maps.h"

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace vmail;
using directory::QueryMaps;

namespace {

struct Asked {
  std::string sql;
  std::vector<std::string> parameters;
  directory::QueryDatabase::Done done;
};

class HeldDatabase final : public directory::QueryDatabase {
 public:
  explicit HeldDatabase(std::deque<Asked>& asked) : asked_(asked) {}
  void ask(const std::string& sql, std::vector<std::string> parameters, Instant, Done done) override {
    asked_.push_back({sql, std::move(parameters), std::move(done)});
  }
  void stop() override {
    for (auto& one : std::exchange(asked_, {})) one.done(Outcome<AddressList>::temp_fail("stopping"));
  }

 private:
  std::deque<Asked>& asked_;
};

struct Fixture {
  Fixture() {
    settings.maps.query = {{"routes", "SELECT nexthop FROM routes WHERE address = :key"},
                           {"owners", "SELECT login FROM owners WHERE user = :user AND domain = :domain"}};
    maps = std::make_unique<QueryMaps>(loop, clock, settings, std::make_unique<HeldDatabase>(asked));
  }

  // What is answered at once, or "asked".
  std::string get(std::size_t map, const std::string& key) {
    if (const auto known = maps->recall(map, key, clock.now())) return text(*known);
    const auto now = maps->ask(map, key, [this](Outcome<AddressList> outcome) { later.push_back(text(outcome)); });
    return now ? text(*now) : "asked";
  }
  void answer(Outcome<AddressList> outcome) {
    REQUIRE_FALSE(asked.empty());
    auto one = std::move(asked.front());
    asked.pop_front();
    one.done(std::move(outcome));
  }
  void found(const AddressList& values) { answer(Outcome<AddressList>::found(values)); }
  void away() { answer(Outcome<AddressList>::temp_fail("away")); }
  // What has been answered later since the last call.
  std::vector<std::string> answers() { return std::exchange(later, {}); }

  static std::string text(const Outcome<AddressList>& outcome) {
    const char* source = outcome.source() == Source::Stale ? "stale " : "";
    switch (outcome.status()) {
      case Status::Found:
        return source + outcome.value().text();
      case Status::TempFail:
        return "failed: " + outcome.reason();
      default:
        return std::string(source) + "none";
    }
  }

  Loop loop;
  test::ManualClock clock;
  config::Settings settings;
  std::deque<Asked> asked;
  std::vector<std::string> later;
  std::unique_ptr<QueryMaps> maps;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a query gets the parts of the key, and its answer is remembered") {
  Fixture f;
  CHECK(f.maps->names() == Texts{"routes", "owners"});
  CHECK(f.get(1, "U+x@D.org") == "asked");
  CHECK(f.asked.front().sql == "SELECT login FROM owners WHERE user = ? AND domain = ?");
  CHECK(f.asked.front().parameters == Texts{"u", "d.org"});
  f.found({"a", "b"});
  CHECK(f.answers() == Texts{"a\nb\n"});
  CHECK(f.get(1, "u+X@d.ORG") == "a\nb\n");
  // The other map knows nothing of it.
  CHECK(f.get(0, "u+x@d.org") == "asked");
  f.found({});
  CHECK(f.answers() == Texts{"none"});
  CHECK(f.get(0, "u+x@d.org") == "none");
}

TEST_CASE("what cannot be asked is not found, without a question") {
  Fixture f;
  for (const std::string& key : {std::string("d.org"), std::string("<>"), std::string("a\nb@d.org"), std::string(),
                                 std::string(20000, 'x') + "@d.org", std::string("\xff@d.org")}) {
    CHECK(f.get(1, key) == "none");
  }
  CHECK(f.asked.empty());
}

TEST_CASE("who asks for the same waits for the same question") {
  Fixture f;
  CHECK(f.get(0, "u@d.org") == "asked");
  CHECK(f.get(0, "U@d.org") == "asked");
  CHECK(f.asked.size() == 1);
  f.found({"relay"});
  CHECK(f.answers() == Texts{"relay\n", "relay\n"});
}

TEST_CASE("answers are asked for again when their lifetime is over") {
  Fixture f;
  f.get(0, "u@d.org");
  f.found({"relay"});
  f.get(0, "none@d.org");
  f.found({});
  f.clock.advance(f.settings.directory.not_found_lifetime);
  CHECK(f.get(0, "u@d.org") == "relay\n");
  CHECK(f.get(0, "none@d.org") == "asked");
  f.found({"new"});
  f.clock.advance(f.settings.directory.found_lifetime);
  CHECK(f.get(0, "u@d.org") == "asked");
}

TEST_CASE("a flush makes everything be asked again, and what was asked before it is not kept") {
  Fixture f;
  f.get(0, "u@d.org");
  f.found({"old"});
  f.clock.advance(std::chrono::milliseconds(1));
  CHECK(f.get(0, "v@d.org") == "asked");
  f.clock.advance(std::chrono::milliseconds(1));
  f.maps->flush();
  f.clock.advance(std::chrono::milliseconds(1));
  CHECK(f.get(0, "u@d.org") == "asked");
  CHECK(f.get(0, "v@d.org") == "asked");
  CHECK(f.asked.size() == 3);
  f.answers();
  f.found({"v before"});
  CHECK(f.answers() == Texts{"v before\n"});
  CHECK(f.get(0, "v@d.org") == "asked");
  f.found({"u after"});
  f.found({"v after"});
  CHECK(f.get(0, "u@d.org") == "u after\n");
  CHECK(f.get(0, "v@d.org") == "v after\n");
}

TEST_CASE("while the database is away, what was known is served within its bounds, and nothing else is") {
  Fixture f;
  f.get(0, "u@d.org");
  f.found({"relay"});
  f.get(0, "none@d.org");
  f.found({});
  f.answers();
  f.clock.advance(f.settings.directory.found_lifetime);
  const auto ask = [&](const char* key) {
    CHECK(f.get(0, key) == "asked");
    f.away();
    return f.answers();
  };
  CHECK(ask("u@d.org") == Texts{"stale relay\n"});
  CHECK(ask("none@d.org") == Texts{"stale none"});
  CHECK(ask("new@d.org") == Texts{"failed: away"});
  f.maps->flush();
  CHECK(ask("u@d.org") == Texts{"stale relay\n"});
  f.clock.advance(f.settings.directory.stale_unknown);
  CHECK(ask("none@d.org") == Texts{"failed: away"});
  CHECK(ask("u@d.org") == Texts{"stale relay\n"});
  f.clock.advance(f.settings.directory.stale_known);
  CHECK(ask("u@d.org") == Texts{"failed: away"});
}

TEST_CASE("questions that are out at the end are answered, later ones at once") {
  Fixture f;
  f.get(0, "u@d.org");
  f.maps->stop();
  CHECK(f.answers() == Texts{"failed: stopping"});
  CHECK(f.get(0, "u@d.org") == "failed: the daemon is stopping");
}

TEST_CASE("a reload takes lifetimes and the delimiter, but no other queries") {
  Fixture f;
  auto changed = f.settings;
  changed.maps.query.pop_back();
  changed.addresses.recipient_delimiter = "-";
  changed.directory.found_lifetime = std::chrono::seconds(1);
  f.maps->reload(changed);
  CHECK(f.get(1, "u-x+y@d.org") == "asked");
  CHECK(f.asked.front().parameters == Texts{"u", "d.org"});
  f.found({"a"});
  f.clock.advance(std::chrono::seconds(1));
  CHECK(f.get(1, "u-x+y@d.org") == "asked");
}
