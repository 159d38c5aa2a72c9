#include "dovecot-lmtp-store/duplicates.h"

#include <algorithm>

namespace vmail::store {

std::optional<std::string> Duplicates::find(const std::string& key) const {
  Lock lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end() || clock_.now() - found->second->since > kLifetime) return std::nullopt;
  return found->second->name;
}

void Duplicates::stored(const std::string& key, std::string_view id, const std::string& name) {
  const Instant now = clock_.now();
  Lock lock(mutex_);
  if (const auto same = by_key_.find(key); same != by_key_.end()) drop(same->second);
  while (!entries_.empty() && (entries_.size() >= most_ || now - entries_.front().since > kLifetime)) {
    drop(entries_.begin());
  }
  const Place place = entries_.insert(entries_.end(), {key, std::string(id), name, now});
  by_key_.emplace(place->key, place);
  // The view in by_id_ is that of the entry which came first, and moves on with drop().
  by_id_[place->id].push_back(place);
}

void Duplicates::confirmed(std::string_view id) {
  Lock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  const std::vector<Place> places = found->second;
  for (const Place place : places) drop(place);
}

std::size_t Duplicates::size() const {
  Lock lock(mutex_);
  return entries_.size();
}

void Duplicates::drop(Place place) {
  by_key_.erase(place->key);
  const auto found = by_id_.find(place->id);
  std::vector<Place> others = std::move(found->second);
  by_id_.erase(found);
  others.erase(std::find(others.begin(), others.end(), place));
  if (!others.empty()) {
    const std::string_view id = others.front()->id;
    by_id_.emplace(id, std::move(others));
  }
  entries_.erase(place);
}

std::string duplicate_key(std::string_view client, std::string_view queue_id, std::string_view recipient,
                          std::string_view digest) {
  std::string key;
  for (const std::string_view part : {client, queue_id, recipient, digest}) {
    key += std::to_string(part.size()) + ':';
    key += part;
  }
  return key;
}

}  // namespace vmail::store
