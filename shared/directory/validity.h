// Until when what was read may be served as it is. One time line: each row has the instant at which the question that
// read it began, and whatever makes rows doubtful has an instant too.
//
// Loop thread only.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shared/base/clock.h"
#include "shared/base/key_filter.h"
#include "shared/base/seeded_hash.h"

namespace vmail::directory {

class Validity {
 public:
  struct Lifetimes {
    Duration found = std::chrono::seconds(60);  // while no feed is followed
    Duration not_found = std::chrono::seconds(15);
    Duration credentials = std::chrono::seconds(60);
    Duration followed = std::chrono::hours(1);    // of all three, while it is
    Duration patience = std::chrono::seconds(5);  // a feed that was not read for that long is not followed
  };
  enum class Kind : unsigned char { Found, NotFound, Credentials };

  explicit Validity(Lifetimes lifetimes) : lifetimes_(lifetimes) {}
  void set_lifetimes(Lifetimes lifetimes) { lifetimes_ = lifetimes; }

  // Everything that was read up to then is doubtful; everything of a domain; one row.
  void doubt_all(Instant now);
  void doubt_domain(std::string_view domain, Instant now);
  void doubt(std::string_view key, Instant now);
  // The feed was read, and there was no gap since `since`.
  void follow(Instant since, Instant read) { since_ = since, polled_ = read; }
  void unfollow() { follow(Instant::max(), Instant()); }
  // Forgets marks from before `instant` that nothing needs: `needed(key, marked_at)` says whether a row that is older
  // than its mark is in memory.
  template <class Needed>
  void sweep(Instant instant, Needed needed) {
    std::erase_if(keys_, [&](const auto& mark) { return mark.second < instant && !needed(mark.first, mark.second); });
    filter_.clear();
    for (const auto& mark : keys_) filter_.add(keys_.hash_function()(mark.first));
  }
  // The same for domains, where only the age counts.
  void sweep_domains(Instant instant) {
    std::erase_if(domains_, [&](const auto& mark) { return mark.second < instant; });
  }

  bool is_followed(Instant now) const { return now - polled_ < lifetimes_.patience && polled_ != Instant(); }
  Instant followed_since() const { return since_; }

  // The longest of the lifetimes: what is older is asked for again in any case.
  Duration longest() const {
    return std::max({lifetimes_.found, lifetimes_.not_found, lifetimes_.credentials, lifetimes_.followed});
  }
  // Has something happened since it was read?
  bool doubted(std::string_view key, Instant read_at) const;
  // Is there a reason to ask again?
  bool expired(std::string_view key, Kind kind, Instant read_at, Instant now) const;
  // When the row was last known to be right: when it was read, or when the feed that covers it was.
  Instant right_at(Instant read_at) const { return read_at > since_ && polled_ > read_at ? polled_ : read_at; }

  // Is something of what was read at `read_at` in doubt? `open(key, marked_at)` says of a single row whether its mark
  // still counts.
  template <class Open>
  bool any_mark(Instant read_at, Open open) const {
    return all_ >= read_at ||
           std::any_of(domains_.begin(), domains_.end(), [&](const auto& mark) { return mark.second >= read_at; }) ||
           std::any_of(keys_.begin(), keys_.end(),
                       [&](const auto& mark) { return mark.second >= read_at && open(mark.first, mark.second); });
  }
  std::size_t marks() const { return keys_.size() + domains_.size(); }

 private:
  using Marks = std::unordered_map<std::string, Instant, SeededHash, std::equal_to<>>;

  Lifetimes lifetimes_;
  Instant all_ = Instant::min();
  Marks domains_;
  Marks keys_;
  KeyFilter filter_;                // of keys_
  Instant since_ = Instant::max();  // never followed
  Instant polled_{};
};

}  // namespace vmail::directory
