// A table over keys that outsiders choose: bounded, its hashing seeded; when it is full, what was not touched for
// longest makes room.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "shared/base/seeded_hash.h"

namespace vmail::auth {

template <class Entry>
class LruTable {
 public:
  explicit LruTable(std::size_t most) : most_(most) {}
  LruTable(const LruTable&) = delete;
  LruTable& operator=(const LruTable&) = delete;

  Entry* find(std::string_view key) {
    const auto at = places_.find(key);
    return at == places_.end() ? nullptr : &at->second->second;
  }
  const Entry* find(std::string_view key) const { return const_cast<LruTable*>(this)->find(key); }

  // That of the key, a new one when there is none; it is the newest then.
  Entry& touch(std::string_view key) {
    if (const auto at = places_.find(key); at != places_.end()) {
      entries_.splice(entries_.end(), entries_, at->second);
      return at->second->second;
    }
    if (entries_.size() >= most_) erase(std::string(entries_.front().first));
    entries_.emplace_back(std::string(key), Entry());
    places_.emplace(entries_.back().first, std::prev(entries_.end()));
    return entries_.back().second;
  }

  bool erase(std::string_view key) {
    const auto at = places_.find(key);
    if (at == places_.end()) return false;
    const auto entry = at->second;
    places_.erase(at);
    entries_.erase(entry);
    return true;
  }
  void clear() {
    places_.clear();
    entries_.clear();
  }
  std::size_t size() const { return entries_.size(); }

  // The oldest first; pairs of key and entry.
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  using Entries = std::list<std::pair<std::string, Entry>>;
  const std::size_t most_;
  Entries entries_;
  std::unordered_map<std::string_view, typename Entries::iterator, SeededHash, std::equal_to<>> places_;
};

}  // namespace vmail::auth
