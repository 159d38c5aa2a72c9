#include "shared/directory/stats.h"

#include <string>

#include "tests/support/catch.h"

using namespace vmail;
using directory::Stats;

namespace {

std::string text_of(const Stats& stats) {
  metrics::Registry registry;
  registry.collect([&](metrics::Samples& samples) { directory::add_samples(stats, samples); });
  return registry.text();
}

bool has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("the statistics of a directory that has just begun") {
  const std::string text = text_of({});
  CHECK(has(text, "vmailkit_database_up 0"));
  CHECK(has(text, "vmailkit_feed_followed 0"));
  CHECK(has(text, "vmailkit_stale_since_timestamp_seconds 0"));
  CHECK(has(text, "vmailkit_preload_read_timestamp_seconds 0"));
  // A lag of a feed that there is not would look like a good one.
  CHECK(text.find("vmailkit_feed_lag_seconds") == std::string::npos);
}

TEST_CASE("the statistics of one at work") {
  const WallTime then{std::chrono::seconds(1764000000)};
  Stats stats;
  stats.database.answers = true;
  stats.database.since = then;
  stats.database.asked = 10;
  stats.database.orphaned = 2;
  stats.feed.state = "followed";
  stats.feed.lag = std::chrono::milliseconds(1500);
  stats.feed.changes = 5;
  stats.stale.serving = true;
  stats.stale.since = then;
  stats.guard.tripped = true;
  stats.cache.entries = 100;
  stats.answers.memory = 1000;
  stats.answers.failed = 1;
  stats.preload.state = "loaded";
  stats.preload.read = then;
  stats.snapshot.error = "no room";
  const std::string text = text_of(stats);
  CAPTURE(text);
  CHECK(has(text, "vmailkit_database_up 1"));
  CHECK(has(text, "vmailkit_database_changed_timestamp_seconds 1764000000"));
  CHECK(has(text, "vmailkit_database_questions_total 10"));
  CHECK(has(text, "vmailkit_database_timeouts_total 2"));
  CHECK(has(text, "vmailkit_feed_followed 1"));
  CHECK(has(text, "vmailkit_feed_lag_seconds 1.5"));
  CHECK(has(text, "vmailkit_feed_changes_total 5"));
  CHECK(has(text, "vmailkit_stale 1"));
  CHECK(has(text, "vmailkit_stale_since_timestamp_seconds 1764000000"));
  CHECK(has(text, "vmailkit_guard_tripped 1"));
  CHECK(has(text, "vmailkit_cache_entries 100"));
  CHECK(has(text, "vmailkit_answers_total{source=\"memory\"} 1000"));
  CHECK(has(text, "vmailkit_answers_total{source=\"failed\"} 1"));
  CHECK(has(text, "vmailkit_preload_loaded 1"));
  CHECK(has(text, "vmailkit_snapshot_failed 1"));
}
