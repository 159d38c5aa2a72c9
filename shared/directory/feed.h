// The change feed: which keys have changed, as the triggers noted it in vmailkit_changes. This is the reader's side:
// what to ask for next, and whether what came back can be trusted. Pure; loop thread only.
//
// Ids are given when a note is written and become visible when its transaction commits, so they come out of order, and
// some never come (rolled back, or left out by Galera's increments). Ids that are missing are asked for again until
// they appear or are an hour old: the youngest in each poll, the others in turns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/clock.h"

namespace vmail::directory {

struct Change {
  enum class Kind : unsigned char {
    Address,  // the row of `key`, "u@d" or "@d"
    Domain,   // everything of the domain `key`, and the sets of domains
    Rules,    // the rules, which are read with the sets of domains
    All,      // everything; a Feed says that as a gap
  };
  Kind kind = Kind::Address;
  std::string key;  // as address_key() makes it, or the A-label of a domain; empty: nothing has changed
  bool operator==(const Change&) const = default;
};

// Where a reader of the feed is: enough to go on after a restart.
struct FeedPosition {
  // Ids that have not been seen, and since when.
  struct Hole {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    WallTime since;
    bool operator==(const Hole&) const = default;
  };
  std::string identity;     // of the feed and of the server it was read from; empty: none is followed
  std::string triggers;     // as they were at their last check
  std::uint64_t last = 0;   // the greatest id seen; 0: there was no note
  std::string witness;      // what that note said: the same id with other words is another history
  std::vector<Hole> holes;  // by id, and so by age, the oldest first
  bool operator==(const FeedPosition&) const = default;
};

// What is asked of the database in one poll.
struct FeedQuestion {
  using Span = std::pair<std::uint64_t, std::uint64_t>;  // first to last
  std::uint64_t from = 0;   // ids from here on; the first is the witness. 0: none, only which is the newest
  std::vector<Span> spans;  // and those, in the order of their ids
  bool check_triggers = false;
};

struct FeedAnswer {
  struct Note {
    std::uint64_t id = 0;
    std::string witness;
    Change change;
  };
  // Why there is no feed, in words, for an administrator: no table, triggers missing, switched off. Empty: there is
  // one.
  std::string unavailable;
  std::string identity;
  std::string triggers;      // when they were to be checked
  std::uint64_t newest = 0;  // of all ids; 0: the table is empty
  std::string newest_witness;
  std::vector<Note> notes;  // from `from` on, in the order of their ids
  bool more = false;        // there were more of them than one poll reads
  std::vector<Note> late;   // within the spans, in the order of their ids
  bool more_late = false;
};

class Feed {
 public:
  // Goes on from `position`; an empty one begins with the next answer, as a gap.
  explicit Feed(FeedPosition position = {}) : position_(std::move(position)) {}

  FeedQuestion question(Instant now);

  struct Result {
    enum class Kind : unsigned char {
      Followed,     // `changes` are all that has happened since the last answer
      Gap,          // it is not known what has happened: everything counts as changed. The position is set anew
      Unavailable,  // there is no feed
    };
    Kind kind = Kind::Unavailable;
    std::string reason;  // of a gap or of its absence, in words
    std::vector<Change> changes;
    bool more = false;  // ask again at once
  };
  // What came of the last question().
  Result take(const FeedAnswer& answer, Instant now, WallTime wall);

  const FeedPosition& position() const { return position_; }

 private:
  std::string why_not_to_trust(const FeedAnswer& answer) const;
  void begin(const FeedAnswer& answer);
  void add_hole(std::uint64_t first, std::uint64_t last);
  void fill_holes(const std::vector<FeedAnswer::Note>& late, std::vector<Change>& changes);
  void forget_holes();

  FeedPosition position_;
  std::optional<Instant> triggers_checked_;
  WallTime wall_{};         // of the last answer
  std::uint64_t turn_ = 0;  // the id from which on the older holes are asked for next
};

}  // namespace vmail::directory
