// What the directory tells about itself, for `vmailctl status` and metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/directory/database.h"
#include "shared/directory/directory.h"
#include "shared/directory/rows.h"
#include "shared/runtime/metrics.h"

namespace vmail::directory {

struct Stats {
  DatabaseStats database;
  struct Feed {
    const char* state = "off";  // followed, lost, unavailable, off
    std::string reason;         // why it is not followed
    Duration lag{};             // since the last good poll
    std::uint64_t position = 0;
    std::uint64_t gaps = 0;
    std::uint64_t changes = 0;
  } feed;
  struct Stale {
    bool serving = false;
    WallTime since{};           // of this outage
    std::uint64_t answers = 0;  // since the start
  } stale;
  struct Guard {
    bool tripped = false;
    WallTime since{};
    std::string what;
  } guard;
  struct Cache {
    std::size_t entries = 0;
    std::size_t bytes = 0;
    std::size_t limit = 0;
    std::uint64_t evicted = 0;
    std::size_t credentials = 0;
  } cache;
  struct Answers {
    std::uint64_t memory = 0;
    std::uint64_t stale = 0;
    std::uint64_t database = 0;
    std::uint64_t failed = 0;
  } answers;
  struct Preload {
    const char* state = "off";  // loaded, loading, off
    std::string reason;         // why it is not loaded, or was not loaded anew
    std::size_t rows = 0;
    std::size_t bytes = 0;
    WallTime read{};
  } preload;
  struct Domains {
    std::size_t count = 0;
    std::size_t rules = 0;
    WallTime read{};
  } domains;
  struct Snapshot {
    WallTime written{};  // or read at start
    std::string error;   // of the last writing
  } snapshot;
};

// All of it for Prometheus.
void add_samples(const Stats& stats, metrics::Samples& samples);

// The rows that answer for one key, each with what is known about it.
struct Shown {
  struct Row {
    std::string key;
    bool known = false;  // in memory at all
    AddressRow row;
    WallTime read{};
    bool expired = false;
    bool preloaded = false;
  };
  std::optional<DomainKind> domain;
  std::vector<Row> rows;  // in the order of the ladder
};

}  // namespace vmail::directory
