#include "shared/directory/stats.h"

namespace vmail::directory {
namespace {

// Zero for what never was.
double unix_seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

double count(std::size_t number) {
  return static_cast<double>(number);
}

}  // namespace

void add_samples(const Stats& stats, metrics::Samples& samples) {
  const auto answers = [&](const char* source, std::uint64_t number) {
    samples.counter("vmailkit_answers_total", "Answers of the directory, by where they came from.", number,
                    {{"source", source}});
  };
  answers("memory", stats.answers.memory);
  answers("stale", stats.answers.stale);
  answers("database", stats.answers.database);
  answers("failed", stats.answers.failed);

  const auto& database = stats.database;
  samples.gauge("vmailkit_database_up", "Whether the database answers.", database.answers);
  samples.gauge("vmailkit_database_changed_timestamp_seconds", "When that changed last.", unix_seconds(database.since));
  samples.counter("vmailkit_database_questions_total", "Questions to the database.", database.asked);
  samples.counter("vmailkit_database_failures_total", "Those that failed.", database.failed);
  samples.counter("vmailkit_database_timeouts_total", "Those that failed at their deadline.", database.orphaned);
  samples.counter("vmailkit_database_overflows_total", "Those that failed since too many waited.", database.refused);
  samples.gauge("vmailkit_database_waiting", "Questions that wait for a worker.", count(database.waiting));

  const auto& feed = stats.feed;
  const std::string state = feed.state;
  samples.gauge("vmailkit_feed_followed", "Whether the change feed is followed.", state == "followed");
  if (state == "followed" || state == "lost") {
    samples.gauge("vmailkit_feed_lag_seconds", "Since the feed was last read.",
                  std::chrono::duration<double>(feed.lag).count());
  }
  samples.counter("vmailkit_feed_gaps_total", "Gaps in the feed, after which all is read again.", feed.gaps);
  samples.counter("vmailkit_feed_changes_total", "Changes that the feed brought.", feed.changes);

  samples.gauge("vmailkit_stale", "Whether answers are past their lifetime, since the database cannot be asked.",
                stats.stale.serving);
  samples.gauge("vmailkit_stale_since_timestamp_seconds", "Since when; 0: they are not.",
                stats.stale.serving ? unix_seconds(stats.stale.since) : 0);
  samples.gauge("vmailkit_guard_tripped", "Whether a reading that lost most of its rows waits for an administrator.",
                stats.guard.tripped);

  const auto& cache = stats.cache;
  samples.gauge("vmailkit_cache_entries", "Rows in the cache.", count(cache.entries));
  samples.gauge("vmailkit_cache_bytes", "Memory of the cache.", count(cache.bytes));
  samples.gauge("vmailkit_cache_limit_bytes", "Memory that the cache may have.", count(cache.limit));
  samples.counter("vmailkit_cache_evictions_total", "Rows that had to go for others.", cache.evicted);
  samples.gauge("vmailkit_cache_credentials", "Password hashes in memory.", count(cache.credentials));

  const auto& preload = stats.preload;
  samples.gauge("vmailkit_preload_loaded", "Whether all rows are in memory.", std::string(preload.state) == "loaded");
  samples.gauge("vmailkit_preload_rows", "Rows that are preloaded.", count(preload.rows));
  samples.gauge("vmailkit_preload_bytes", "Memory of the preloaded rows.", count(preload.bytes));
  samples.gauge("vmailkit_preload_read_timestamp_seconds", "When they were read; 0: never.",
                unix_seconds(preload.read));

  samples.gauge("vmailkit_domains", "Domains in memory.", count(stats.domains.count));
  samples.gauge("vmailkit_rules", "Rules in memory.", count(stats.domains.rules));
  samples.gauge("vmailkit_domains_read_timestamp_seconds", "When they were read; 0: never.",
                unix_seconds(stats.domains.read));
  samples.gauge("vmailkit_snapshot_timestamp_seconds", "When the snapshot on disk was written; 0: never.",
                unix_seconds(stats.snapshot.written));
  samples.gauge("vmailkit_snapshot_failed", "Whether its last writing failed.", !stats.snapshot.error.empty());
}

}  // namespace vmail::directory
