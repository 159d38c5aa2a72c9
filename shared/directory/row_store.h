// The rows of addresses that are in memory: single ones in the cache, and all of them when they have been preloaded.
// The newer of the two counts; what a preloaded set does not hold is known not to exist.
//
// Loop thread only. A hit allocates nothing.
#pragma once

#include <memory>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/directory/cache.h"
#include "shared/directory/resolver.h"
#include "shared/directory/row_set.h"
#include "shared/directory/validity.h"

namespace vmail::directory {

class RowStore {
 public:
  struct Known {
    const AddressRow* row = nullptr;  // nullptr: not known. Valid until the store is touched again
    Instant read_at{};
    bool preloaded = false;
  };

  explicit RowStore(std::size_t cache_limit) : cache_(cache_limit) {}

  Known find(std::string_view key);

  // The set that served before, for its destruction elsewhere.
  [[nodiscard]] std::shared_ptr<const RowSet> preload(std::shared_ptr<const RowSet> set, Instant read_at);
  const std::shared_ptr<const RowSet>& preloaded() const { return set_; }
  Instant preloaded_at() const { return set_read_at_; }

  Cache<AddressRow>& cache() { return cache_; }
  const Cache<AddressRow>& cache() const { return cache_; }

 private:
  Cache<AddressRow> cache_;
  std::shared_ptr<const RowSet> set_;
  Instant set_read_at_{};
  AddressRow from_set_;
};

Validity::Kind kind_of(const AddressRow& row);
Validity::Kind kind_of(const CredentialRow& row);
inline bool is_known(const AddressRow& row) {
  return !row.empty();
}
inline bool is_known(const CredentialRow& row) {
  return row.exists;
}

// Where the two kinds of rows are kept.
inline RowStore::Known find_row(RowStore& store, std::string_view key) {
  return store.find(key);
}
struct KnownCredentials {
  const CredentialRow* row = nullptr;
  Instant read_at{};
};
inline KnownCredentials find_row(Cache<CredentialRow>& cache, std::string_view key) {
  const auto* entry = cache.find(key);
  return entry == nullptr ? KnownCredentials{} : KnownCredentials{&entry->row, entry->read_at};
}

// Rows that may be served as they are; remembers how old the oldest was that it gave.
template <class Row, class Store>
class CurrentRows final : public Rows<Row> {
 public:
  CurrentRows(Store& store, const Validity& validity, Instant now) : store_(store), validity_(validity), now_(now) {}
  const Row* find(std::string_view key) override {
    const auto known = find_row(store_, key);
    if (known.row == nullptr || validity_.expired(key, kind_of(*known.row), known.read_at, now_)) return nullptr;
    oldest_ = std::min(oldest_, known.read_at);
    return known.row;
  }
  Instant oldest() const { return oldest_; }

 private:
  Store& store_;
  const Validity& validity_;
  const Instant now_;
  Instant oldest_ = Instant::max();
};

// Whatever is in memory, for when the database cannot be asked.
struct StaleBounds {
  Duration known;    // since any row of an address that exists was right; its negative steps serve with it
  Duration unknown;  // when there is nothing but negative steps
};
template <class Row, class Store>
class StaleRows final : public Rows<Row> {
 public:
  StaleRows(Store& store, const Validity& validity) : store_(store), validity_(validity) {}
  const Row* find(std::string_view key) override {
    const auto known = find_row(store_, key);
    if (known.row == nullptr) return nullptr;
    any_known_ |= is_known(*known.row);
    oldest_ = std::min(oldest_, validity_.right_at(known.read_at));
    return known.row;
  }
  // May what was resolved from these rows be served?
  bool within(const StaleBounds& bounds, Instant now) const {
    return now - oldest_ < (any_known_ ? bounds.known : bounds.unknown);
  }

 private:
  Store& store_;
  const Validity& validity_;
  bool any_known_ = false;
  Instant oldest_ = Instant::max();
};

}  // namespace vmail::directory
