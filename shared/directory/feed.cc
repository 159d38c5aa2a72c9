#include "shared/directory/feed.h"

#include <algorithm>

namespace vmail::directory {
namespace {

using Hole = FeedPosition::Hole;
using Spans = std::vector<FeedQuestion::Span>;

constexpr Duration kTriggersInterval = std::chrono::seconds(30);
// No transaction that matters is open for longer; what one hides nevertheless, the comparison of all rows finds.
constexpr auto kHoleAge = std::chrono::hours(1);
// Older than that holes are asked for in turns. Most transactions are over much sooner.
constexpr auto kYoung = std::chrono::minutes(1);
// Where Galera's increments leave a hole behind each note there are as many as notes in an hour.
constexpr std::size_t kMaxHoles = 100'000;
// What was committed when a position was taken, and what not, is found out afterwards for so many ids before it.
constexpr std::uint64_t kLookBack = 1000;

// What one part of a question asks for: so many spans at most, with so many ids in them that have been seen before.
// Holes that are near to each other share a span.
class SpanList {
 public:
  // False when it is full. `hole` lies on the side of those before that it always lies on.
  bool add(const Hole& hole) {
    if (!spans_.empty()) {
      auto& [first, last] = spans_.back();
      const std::uint64_t between = hole.first > last ? hole.first - last - 1 : first - hole.last - 1;
      if (between <= kNear && seen_ + between <= kMaxSeen) {
        seen_ += between;
        first = std::min(first, hole.first);
        last = std::max(last, hole.last);
        return true;
      }
    }
    if (spans_.size() >= kMaxSpans) return false;
    spans_.emplace_back(hole.first, hole.last);
    return true;
  }
  Spans& spans() { return spans_; }

 private:
  static constexpr std::size_t kMaxSpans = 32;
  static constexpr std::uint64_t kMaxSeen = 1000;
  static constexpr std::uint64_t kNear = 30;

  Spans spans_;
  std::uint64_t seen_ = 0;
};

}  // namespace

FeedQuestion Feed::question(Instant now) {
  FeedQuestion question;
  question.check_triggers = !triggers_checked_ || now - *triggers_checked_ >= kTriggersInterval;
  if (position_.identity.empty()) return question;
  question.from = std::max<std::uint64_t>(position_.last, 1);

  const auto& holes = position_.holes;
  auto young = holes.end();
  SpanList youngest;
  while (young != holes.begin() && wall_ - std::prev(young)->since < kYoung && youngest.add(*std::prev(young))) --young;
  // The others where the last question ended.
  auto older =
      std::lower_bound(holes.begin(), young, turn_, [](const Hole& hole, std::uint64_t id) { return hole.last < id; });
  if (older == young) older = holes.begin();
  SpanList in_turn;
  while (older != young && in_turn.add(*older)) ++older;
  turn_ = older == young ? 0 : older->first;

  question.spans = std::move(in_turn.spans());
  question.spans.insert(question.spans.end(), youngest.spans().rbegin(), youngest.spans().rend());
  return question;
}

Feed::Result Feed::take(const FeedAnswer& answer, Instant now, WallTime wall) {
  wall_ = wall;
  Result result;
  if (!answer.unavailable.empty()) {
    // Who knows what is missed until it is back: then it begins anew.
    position_ = {};
    triggers_checked_.reset();
    result.reason = answer.unavailable;
    return result;
  }
  if (!answer.triggers.empty()) triggers_checked_ = now;
  result.reason = why_not_to_trust(answer);
  if (!result.reason.empty()) {
    result.kind = Result::Kind::Gap;
    begin(answer);
    return result;
  }
  if (!answer.triggers.empty()) position_.triggers = answer.triggers;
  fill_holes(answer.late, result.changes);
  for (const auto& note : answer.notes) {
    if (note.id <= position_.last) continue;  // the witness
    add_hole(position_.last + 1, note.id - 1);
    position_.last = note.id;
    position_.witness = note.witness;
    result.changes.push_back(note.change);
  }
  forget_holes();
  result.kind = Result::Kind::Followed;
  result.more = answer.more || answer.more_late;
  const auto is_all = [](const Change& change) { return change.kind == Change::Kind::All; };
  if (std::any_of(result.changes.begin(), result.changes.end(), is_all)) {
    result.kind = Result::Kind::Gap;
    result.reason = "a note says that everything may have changed";
  }
  std::erase_if(result.changes, [&](const Change& change) { return is_all(change) || change.key.empty(); });
  return result;
}

std::string Feed::why_not_to_trust(const FeedAnswer& answer) const {
  if (position_.identity.empty()) return "it is read for the first time";
  if (answer.identity != position_.identity) return "it was made anew, or another server answers";
  if (!answer.triggers.empty() && !position_.triggers.empty() && answer.triggers != position_.triggers) {
    return "its triggers were made anew";
  }
  if (position_.last == 0) return "";
  const std::string last = std::to_string(position_.last);
  if (answer.notes.empty() || answer.notes.front().id != position_.last) {
    return "note " + last + " is not there: the notes were removed or restored, or the server lags behind another one";
  }
  if (answer.notes.front().witness != position_.witness) return "note " + last + " is another one: they were restored";
  return "";
}

void Feed::begin(const FeedAnswer& answer) {
  position_ = {answer.identity, answer.triggers, answer.newest, answer.newest_witness, {}};
  turn_ = 0;
  if (answer.triggers.empty()) triggers_checked_.reset();
  // Transactions that are open now have ids below the newest too.
  if (answer.newest > 1) add_hole(answer.newest > kLookBack ? answer.newest - kLookBack : 1, answer.newest - 1);
}

void Feed::add_hole(std::uint64_t first, std::uint64_t last) {
  if (first <= last) position_.holes.push_back({first, last, wall_});
}

void Feed::fill_holes(const std::vector<FeedAnswer::Note>& late, std::vector<Change>& changes) {
  auto& holes = position_.holes;
  const auto in_a_hole = [&](const FeedAnswer::Note& note) {
    const auto hole = std::lower_bound(holes.begin(), holes.end(), note.id,
                                       [](const Hole& each, std::uint64_t id) { return each.last < id; });
    return hole != holes.end() && hole->first <= note.id;
  };
  // Most of them have been seen before, between holes.
  auto note = std::find_if(late.begin(), late.end(), in_a_hole);
  if (note == late.end()) return;
  std::vector<Hole> rest;
  rest.reserve(holes.size() + 1);
  for (const auto& hole : holes) {
    std::uint64_t from = hole.first;
    while (note != late.end() && note->id < hole.first) ++note;
    for (; note != late.end() && note->id <= hole.last; ++note) {
      changes.push_back(note->change);
      if (note->id > from) rest.push_back({from, note->id - 1, hole.since});
      from = note->id + 1;
    }
    if (from <= hole.last) rest.push_back({from, hole.last, hole.since});
  }
  holes = std::move(rest);
}

void Feed::forget_holes() {
  auto& holes = position_.holes;
  auto keep = std::find_if(holes.begin(), holes.end(), [&](const Hole& hole) { return wall_ - hole.since < kHoleAge; });
  if (static_cast<std::size_t>(holes.end() - keep) > kMaxHoles) keep = holes.end() - kMaxHoles;
  holes.erase(holes.begin(), keep);
}

}  // namespace vmail::directory
