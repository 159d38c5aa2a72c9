// Rows in memory, by key: bounded in bytes, the least recently used goes first. Whether a row may still be served is
// not decided here (validity.h): one that is out of date is kept, for it may be all there is while the database is
// away.
//
// Known addresses and unknown ones have lists of their own, so that a flood of unknown ones cannot drive out the
// others: they get no more than a quarter.
//
// Loop thread only. A hit allocates nothing.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shared/base/clock.h"
#include "shared/base/key_filter.h"
#include "shared/base/seeded_hash.h"
#include "shared/directory/rows.h"

namespace vmail::directory {

template <class Row>
class Cache {
 public:
  struct Entry {
    std::string key;
    Row row;
    Instant read_at;  // when the question to the database began
    bool known;       // of an address that exists: its negative steps too
    std::size_t bytes;
  };

  explicit Cache(std::size_t limit) : limit_(limit) {}

  // Nothing when it is not there. Valid until the next put(), forget() or clear().
  const Entry* find(std::string_view key) {
    // When everything is preloaded there is little here, and mostly not what is asked for.
    if (index_.size() < KeyFilter::kKeys && !filter_.may_have(index_.hash_function()(key))) return nullptr;
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    const auto entry = found->second;
    Entries& list = list_of(entry->known);
    list.splice(list.begin(), list, entry);
    return &*entry;
  }
  // The same without making it the most recently used.
  const Entry* peek(std::string_view key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &*found->second;
  }

  // Of two questions that overlapped, the one that began later knows better: an older row is not put in.
  void put(std::string_view key, Row row, Instant read_at, bool known);
  void forget(std::string_view key);
  void clear();
  void set_limit(std::size_t limit) {
    limit_ = limit;
    shrink();
  }

  // Some entries at a time, so that a walk over all of them does not hold up the loop: those of the next buckets of the
  // table. Returns where to go on, or 0 at the end. What is put in meanwhile may be left out or come twice.
  template <class Visit>
  std::size_t walk(std::size_t bucket, std::size_t count, Visit visit) const {
    for (std::size_t seen = 0; bucket < index_.bucket_count(); ++bucket) {
      if (seen >= count) return bucket;
      for (auto it = index_.begin(bucket); it != index_.end(bucket); ++it, ++seen) visit(*it->second);
      ++seen;
    }
    return 0;
  }

  std::size_t size() const { return index_.size(); }
  std::size_t bytes() const { return bytes_[0] + bytes_[1]; }
  std::size_t limit() const { return limit_; }
  std::uint64_t evicted() const { return evicted_; }

 private:
  using Entries = std::list<Entry>;

  Entries& list_of(bool known) { return lists_[known ? 1 : 0]; }
  void erase(typename Entries::iterator entry);
  void shrink();

  std::size_t limit_;
  Entries lists_[2];  // unknown and known; the most recently used first
  std::size_t bytes_[2] = {0, 0};
  std::unordered_map<std::string_view, typename Entries::iterator, SeededHash> index_;  // keys are the entries' own
  KeyFilter filter_;  // has all keys of the index, and some that were there
  std::uint64_t evicted_ = 0;
};

extern template class Cache<AddressRow>;
extern template class Cache<CredentialRow>;

}  // namespace vmail::directory
