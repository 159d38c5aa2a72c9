#include "shared/directory/cache.h"

namespace vmail::directory {
namespace {

// Nodes of list and table, and what the allocator adds: measured on 64-bit glibc, rounded up.
constexpr std::size_t kPerEntry = sizeof(Cache::Entry) + 96;

std::size_t heap_of(const std::string& text) {
  return text.capacity() > 15 ? text.capacity() + 17 : 0;
}

std::size_t size_of(const std::string& key, const AddressRow& row) {
  std::size_t bytes = kPerEntry + heap_of(key) + heap_of(row.domain) + heap_of(row.fault);
  for (const auto& destination : row.destinations) bytes += sizeof(std::string) + heap_of(destination);
  return bytes;
}

}  // namespace

const Cache::Entry* Cache::find(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end() || clock_.now() - found->second->read_at >= lifetime(found->second->row)) {
    ++counters_.misses;
    return nullptr;
  }
  ++counters_.hits;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &*found->second;
}

void Cache::put(const std::string& key, AddressRow row, Instant read_at, std::uint64_t generation) {
  if (generation != generation_) return;
  if (const auto old = index_.find(key); old != index_.end()) {
    // Of two questions that overlapped, the one that began later knows better.
    if (old->second->read_at > read_at) return;
    erase(old->second);
  }
  const std::size_t bytes = size_of(key, row);
  if (bytes > limits_.bytes) return;
  entries_.push_front(Entry{key, std::move(row), read_at, bytes});
  index_.emplace(entries_.front().key, entries_.begin());
  bytes_ += bytes;
  shrink();
}

void Cache::forget(const std::vector<std::string>& keys) {
  ++generation_;
  for (const auto& key : keys) {
    if (!key.starts_with('@')) {
      if (const auto found = index_.find(key); found != index_.end()) erase(found->second);
      continue;
    }
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const auto next = std::next(entry);
      if (entry->key.ends_with(key)) erase(entry);
      entry = next;
    }
  }
}

void Cache::clear() {
  ++generation_;
  index_.clear();
  entries_.clear();
  bytes_ = 0;
}

void Cache::set_limits(Limits limits) {
  limits_ = limits;
  shrink();
}

void Cache::erase(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  index_.erase(entry->key);
  entries_.erase(entry);
}

void Cache::shrink() {
  while (bytes_ > limits_.bytes) {
    erase(std::prev(entries_.end()));
    ++counters_.evicted;
  }
}

}  // namespace vmail::directory
