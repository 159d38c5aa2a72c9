// Rows in memory, by key: bounded in bytes, each with a lifetime, the least recently used goes first. A row that is
// known to be empty is cached too, for a shorter time.
//
// Loop thread only. A result that was asked for before a forget() is not put in after it: see generation().
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/seeded_hash.h"
#include "shared/directory/rows.h"

namespace vmail::directory {

class Cache {
 public:
  struct Limits {
    std::size_t bytes = 64U << 20;
    Duration found = std::chrono::seconds(60);
    Duration not_found = std::chrono::seconds(15);
  };
  struct Entry {
    std::string key;
    AddressRow row;
    Instant read_at;  // when the question to the database began
    std::size_t bytes;
  };
  struct Counters {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evicted = 0;
  };

  // `clock` outlives the cache.
  Cache(const Clock& clock, Limits limits) : clock_(clock), limits_(limits) {}

  // Nothing when it is not there or past its lifetime. Valid until the next put(), forget() or clear(). A hit allocates
  // nothing.
  const Entry* find(std::string_view key);

  // Changes with each forget() and clear(). A question remembers the one in which it began; a row from an older one is
  // not put in.
  std::uint64_t generation() const { return generation_; }
  void put(const std::string& key, AddressRow row, Instant read_at, std::uint64_t generation);

  // "u@d" one row, "@d" all rows of the domain, by key.
  void forget(const std::vector<std::string>& keys);
  void clear();
  void set_limits(Limits limits);

  std::size_t size() const { return index_.size(); }
  std::size_t bytes() const { return bytes_; }
  const Counters& counters() const { return counters_; }

 private:
  using Entries = std::list<Entry>;

  // Bad data waits for somebody to mend it.
  Duration lifetime(const AddressRow& row) const {
    return row.empty() || !row.fault.empty() ? limits_.not_found : limits_.found;
  }
  void erase(Entries::iterator entry);
  void shrink();

  const Clock& clock_;
  Limits limits_;
  Entries entries_;                                                            // the most recently used first
  std::unordered_map<std::string_view, Entries::iterator, SeededHash> index_;  // keys are the entries' own
  std::size_t bytes_ = 0;
  std::uint64_t generation_ = 1;
  Counters counters_;
};

}  // namespace vmail::directory
