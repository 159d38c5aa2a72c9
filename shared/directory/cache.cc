#include "shared/directory/cache.h"

namespace vmail::directory {
namespace {

// Nodes of list and table, and what the allocator adds: measured on 64-bit glibc, rounded up.
template <class Row>
constexpr std::size_t kPerEntry = sizeof(typename Cache<Row>::Entry) + 96;

std::size_t heap_of(const std::string& text) {
  return text.capacity() > 15 ? text.capacity() + 17 : 0;
}

std::size_t heap_of(const AddressRow& row) {
  return heap_of(row.domain) + heap_of(row.fault) + heap_of(row.destinations.text());
}

std::size_t heap_of(const Access& access) {
  return heap_of(access.services) + heap_of(access.networks);
}

std::size_t heap_of(const CredentialRow& row) {
  std::size_t bytes = heap_of(row.domain) + heap_of(row.fault) + heap_of(row.hash.text()) + heap_of(row.scram.text()) +
                      heap_of(row.access) + row.app_passwords.capacity() * sizeof(AppPassword);
  for (const auto& password : row.app_passwords) {
    bytes +=
        heap_of(password.selector) + heap_of(password.label) + heap_of(password.hash.text()) + heap_of(password.access);
  }
  return bytes;
}

}  // namespace

template <class Row>
void Cache<Row>::put(std::string_view key, Row row, Instant read_at, bool known) {
  if (const auto old = index_.find(key); old != index_.end()) {
    if (old->second->read_at > read_at) return;
    erase(old->second);
  }
  Entries& list = list_of(known);
  list.push_front(Entry{std::string(key), std::move(row), read_at, known, 0});
  Entry& entry = list.front();
  entry.bytes = kPerEntry<Row> + heap_of(entry.key) + heap_of(entry.row);
  index_.emplace(entry.key, list.begin());
  filter_.add(index_.hash_function()(entry.key));
  bytes_[known ? 1 : 0] += entry.bytes;
  shrink();
}

template <class Row>
void Cache<Row>::forget(std::string_view key) {
  if (const auto found = index_.find(key); found != index_.end()) erase(found->second);
}

template <class Row>
void Cache<Row>::clear() {
  index_.clear();
  filter_.clear();
  for (auto& list : lists_) list.clear();
  bytes_[0] = bytes_[1] = 0;
}

template <class Row>
void Cache<Row>::erase(typename Entries::iterator entry) {
  bytes_[entry->known ? 1 : 0] -= entry->bytes;
  index_.erase(entry->key);
  list_of(entry->known).erase(entry);
}

template <class Row>
void Cache<Row>::shrink() {
  const auto drop_last = [this](bool known) {
    erase(std::prev(list_of(known).end()));
    ++evicted_;
  };
  while (!lists_[0].empty() && bytes_[0] > limit_ / 4) drop_last(false);
  while (!lists_[1].empty() && bytes() > limit_) drop_last(true);
}

template class Cache<AddressRow>;
template class Cache<CredentialRow>;

}  // namespace vmail::directory
