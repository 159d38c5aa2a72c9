#include "shared/directory/row_store.h"

#include <utility>

namespace vmail::directory {

RowStore::Known RowStore::find(std::string_view key) {
  static const AddressRow kNone;
  const auto* entry = cache_.find(key);
  if (!set_ || (entry != nullptr && entry->read_at >= set_read_at_)) {
    return entry == nullptr ? Known{} : Known{&entry->row, entry->read_at, false};
  }
  return {set_->find(key, from_set_) ? &from_set_ : &kNone, set_read_at_, true};
}

std::shared_ptr<const RowSet> RowStore::preload(std::shared_ptr<const RowSet> set, Instant read_at) {
  set_read_at_ = read_at;
  return std::exchange(set_, std::move(set));
}

// Bad data waits for somebody to mend it, so it is looked at as often as what is not there.
Validity::Kind kind_of(const AddressRow& row) {
  return row.empty() || !row.fault.empty() ? Validity::Kind::NotFound : Validity::Kind::Found;
}

Validity::Kind kind_of(const CredentialRow& row) {
  return !row.exists || !row.fault.empty() ? Validity::Kind::NotFound : Validity::Kind::Credentials;
}

}  // namespace vmail::directory
