// A queue that serves its sources in turns: who sends much waits behind itself, not in front of others. Not locked.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "shared/base/seeded_hash.h"

namespace vmail::auth {

template <class T>
class FairQueue {
 public:
  void push(std::string_view source, T item) {
    const auto known = places_.find(source);
    Place place;
    if (known != places_.end()) {
      place = known->second;
    } else {
      place = turns_.insert(turns_.end(), Source{std::string(source), {}});
      places_.emplace(place->name, place);
    }
    place->items.push_back(std::move(item));
    ++size_;
  }

  // The oldest of the source whose turn it is.
  std::optional<T> pop() {
    if (turns_.empty()) return std::nullopt;
    const Place place = turns_.begin();
    T item = std::move(place->items.front());
    place->items.pop_front();
    // Its next one waits until all others have had theirs.
    turns_.splice(turns_.end(), turns_, place);
    taken(place);
    return item;
  }

  // The newest of the source that has the most.
  std::optional<T> push_out() { return push_out(fullest()); }
  // The same, where that source has at least two more than `source`: with it gone and one of `source` come, the two are
  // no further from equal than before.
  std::optional<T> make_room_for(std::string_view source) {
    if (size_ == turns_.size()) return std::nullopt;  // each has one, or there is none
    const Place most = fullest();
    const auto known = places_.find(source);
    const std::size_t has = known == places_.end() ? 0 : known->second->items.size();
    if (most->items.size() < has + 2) return std::nullopt;
    return push_out(most);
  }

  std::size_t size() const { return size_; }

 private:
  struct Source {
    std::string name;
    std::deque<T> items;  // never empty between two calls
  };
  using Place = typename std::list<Source>::iterator;

  Place fullest() {
    return std::max_element(turns_.begin(), turns_.end(),
                            [](const Source& a, const Source& b) { return a.items.size() < b.items.size(); });
  }

  std::optional<T> push_out(Place place) {
    if (place == turns_.end()) return std::nullopt;
    T item = std::move(place->items.back());
    place->items.pop_back();
    taken(place);
    return item;
  }

  void taken(Place place) {
    --size_;
    if (!place->items.empty()) return;
    places_.erase(place->name);
    turns_.erase(place);
  }

  std::list<Source> turns_;                                                          // the first is next
  std::unordered_map<std::string_view, Place, SeededHash, std::equal_to<>> places_;  // the keys are names in turns_
  std::size_t size_ = 0;
};

}  // namespace vmail::auth
