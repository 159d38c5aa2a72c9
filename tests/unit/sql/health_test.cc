#include "sql/vmailctl/health.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/support/catch.h"

using namespace vmail::sql;
using nlohmann::json;

namespace {

constexpr std::int64_t kNow = 1764000000;  // 2025-11-24 16:00:00 UTC
const Expected kExpected{"1.2.3", std::chrono::milliseconds(1000)};

json good() {
  return {
      {"daemon", "vmail-mapd"},
      {"version", "1.2.3"},
      {"database", {{"answers", true}, {"since", kNow - 10}, {"host", "unix:/x"}, {"last_failure", "long ago"}}},
      {"feed", {{"state", "followed"}, {"reason", ""}, {"lag", 0.4}, {"position", 5}, {"gaps", 0}, {"changes", 7}}},
      {"stale", {{"serving", false}, {"since", 0}, {"answers", 0}}},
      {"guard", {{"tripped", false}, {"since", 0}, {"what", ""}}},
      {"domains", {{"count", 3}, {"read", kNow - 1}}},
      {"preload", {{"state", "off"}, {"reason", "too large"}}},
      {"snapshot", {{"written", kNow - 100}, {"error", ""}}},
  };
}

// "critical: text", one a line.
std::string findings(const json& status) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  std::string all;
  for (const auto& finding : judge(status, kExpected, kNow)) {
    all += std::string(level_name(finding.level)) + ": " + finding.text + '\n';
  }
  return all;
}

}  // namespace

TEST_CASE("a daemon that is well has no findings") {
  CHECK(findings(good()).empty());
}

TEST_CASE("what is wrong with a daemon") {
  json status = good();
  SECTION("stale answers") {
    status["database"] = {{"answers", false}, {"since", kNow - 200}, {"last_failure", "cannot connect"}};
    status["stale"] = {{"serving", true}, {"since", kNow - 180}};
    status["feed"] = {{"state", "lost"}, {"reason", "the database does not answer"}};
    CHECK(findings(status) ==
          "critical: answers are stale since 2025-11-24 15:57:00 (3 min ago): the database does not answer: cannot "
          "connect\n");
  }
  SECTION("no database, and nothing asked that was stale") {
    status["database"] = {{"answers", false}, {"since", 0}};
    CHECK(findings(status) == "critical: the database does not answer\n");
  }
  SECTION("stale all the same") {
    status["stale"] = {{"serving", true}, {"since", kNow - 5}};
    CHECK(findings(status) ==
          "warning: answers are stale since 2025-11-24 15:59:55 (5 s ago), though the database answers\n");
  }
  SECTION("no domains") {
    status["domains"]["read"] = 0;
    CHECK(findings(status) ==
          "critical: the domains have not been read yet: all questions are answered as temporary failures\n");
  }
  SECTION("the guard, and a mild thing that was found before it") {
    status["guard"] = {{"tripped", true}, {"since", kNow - 3600}, {"what", "12 rows instead of 50000"}};
    status["stale"]["serving"] = true;
    CHECK(findings(status) ==
          "critical: the guard holds since 2025-11-24 15:00:00 (1 h ago): 12 rows instead of 50000; what was there "
          "before serves on. If the loss is right: vmailctl cache confirm\n"
          "warning: answers are stale, though the database answers\n");
  }
  SECTION("no feed") {
    status["feed"] = {{"state", "unavailable"}, {"reason", "the triggers are missing"}};
    CHECK(findings(status) ==
          "warning: there is no change feed: the triggers are missing; changes are seen when lifetimes end. To make "
          "one: vmailctl schema upgrade; to do without: directory.feed = false\n");
  }
  SECTION("no feed, as it was wished") {
    status["feed"] = {{"state", "off"}, {"reason", ""}};
    CHECK(findings(status).empty());
  }
  SECTION("a feed that is lost") {
    status["feed"] = {{"state", "lost"}, {"reason", "notes are gone"}};
    CHECK(findings(status) == "warning: the change feed is not followed: notes are gone\n");
  }
  SECTION("a feed that hangs") {
    status["feed"]["lag"] = 13.1;
    CHECK(findings(status) == "warning: the change feed was last read 13 s ago\n");
    status["feed"]["lag"] = 12.9;
    CHECK(findings(status).empty());
  }
  SECTION("a snapshot that cannot be written") {
    status["snapshot"]["error"] = "/x: no room";
    CHECK(findings(status) == "warning: the snapshot cannot be written: /x: no room\n");
  }
  SECTION("another version") {
    status["version"] = "1.2.2";
    CHECK(findings(status) == "warning: it is of version 1.2.2, and this vmailctl of 1.2.3: restart it\n");
  }
}

TEST_CASE("a reply of another version is no accident") {
  const std::string skew = "warning: it is of version another, and this vmailctl of 1.2.3: restart it\n";
  CHECK(findings(json::object()) == skew);
  CHECK(findings({{"version", 5}, {"database", 5}, {"feed", json::array()}}) == skew);
  CHECK(findings({{"version", "1.2.3"}, {"database", {{"answers", "yes"}}}, {"guard", {{"tripped", "yes"}}}}) ==
        "critical: the database does not answer\n");
}

TEST_CASE("the worse of two levels") {
  CHECK(worse(Level::Good, Level::Warning) == Level::Warning);
  CHECK(worse(Level::Unknown, Level::Warning) == Level::Unknown);
  CHECK(worse(Level::Unknown, Level::Critical) == Level::Critical);
  CHECK(worse(Level::Critical, Level::Good) == Level::Critical);
}

TEST_CASE("ages and sizes in words") {
  CHECK(age_text(-5) == "0 s");
  CHECK(age_text(59) == "59 s");
  CHECK(age_text(60) == "1 min");
  CHECK(age_text(3599) == "59 min");
  CHECK(age_text(3600) == "1 h");
  CHECK(age_text(7500) == "2 h 5 min");
  CHECK(age_text(86400) == "1 d");
  CHECK(age_text(4 * 86400 + 3700) == "4 d 1 h");
  CHECK(size_text(0) == "0 B");
  CHECK(size_text(1023) == "1023 B");
  CHECK(size_text(1536) == "1.5 KiB");
  CHECK(size_text(64.0 * 1024 * 1024) == "64.0 MiB");
}
