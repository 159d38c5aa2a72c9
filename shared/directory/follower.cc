#include "shared/directory/follower.h"

#include <utility>

#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

// A schema without a feed may get one any day; looking costs little.
constexpr Duration kLookAgain = std::chrono::seconds(15);
constexpr Duration kPruneInterval = std::chrono::minutes(10);

}  // namespace

Follower::Follower(Loop& loop, const Clock& clock, Database& database, Times times, Events events)
    : loop_(loop), clock_(clock), database_(database), times_(times), events_(std::move(events)), timer_(loop) {}

void Follower::start(FeedPosition position) {
  feed_ = Feed(std::move(position));
  state_ = State::Lost;
  reason_ = "it has not been read yet";
  poll();
}

void Follower::stop() {
  stopped_ = true;
  timer_.cancel();
}

Follower::State Follower::state() const {
  if (state_ == State::Followed && clock_.now() - last_poll_ >= times_.patience) return State::Lost;
  return state_;
}

void Follower::poll() {
  assert(loop_.on_loop());
  const Instant began = clock_.now();
  database_.changes(feed_.question(began), began + times_.deadline,
                    [weak = weak_from_this(), began](const Outcome<FeedAnswer>& answer) {
                      if (const auto self = weak.lock()) self->polled(began, answer);
                    });
}

void Follower::polled(Instant began, const Outcome<FeedAnswer>& answer) {
  if (stopped_) return;
  if (!answer.is_found()) {
    // The database is away, which others say loudly; the rows' lifetimes begin to run.
    if (state_ != State::Unavailable) reason_ = answer.reason();
    if (state_ == State::Followed && clock_.now() - last_poll_ >= times_.patience) state_ = State::Lost;
    return next(times_.interval);
  }
  Feed::Result result = feed_.take(answer.value(), clock_.now(), clock_.wall());
  if (result.kind == Feed::Result::Kind::Unavailable) {
    unavailable(result.reason);
    return next(kLookAgain);
  }
  const bool before = std::exchange(state_, State::Followed) == State::Followed;
  reason_.clear();
  last_poll_ = began;
  if (result.kind == Feed::Result::Kind::Gap) {
    ++counters_.gaps;
    log::info("feed-gap position={}: {}; all that is in memory is read again", feed_.position().last, result.reason);
    events_.doubt();
  } else if (!before) {
    log::info("feed-followed position={}", feed_.position().last);
  }
  counters_.changes += result.changes.size();
  events_.changed(std::move(result.changes), began);
  if (clock_.now() >= next_prune_) prune();
  next(result.more ? Duration::zero() : times_.interval);
}

void Follower::unavailable(const std::string& reason) {
  const bool was_followed = state_ == State::Followed;
  if (state_ != State::Unavailable || reason != reason_) {
    const std::string line = "there is no change feed: " + reason + "; rows are read again as their lifetimes end";
    was_followed ? log::error("feed-unavailable: {}", line) : log::info("feed-unavailable: {}", line);
  }
  state_ = State::Unavailable;
  reason_ = reason;
  if (was_followed) events_.doubt();
}

void Follower::prune() {
  next_prune_ = clock_.now() + kPruneInterval;
  database_.prune(clock_.now() + times_.deadline, [weak = weak_from_this()](const Outcome<bool>& more) {
    const auto self = weak.lock();
    if (self && more.is_found() && more.value()) self->next_prune_ = self->clock_.now();
  });
}

void Follower::next(Duration pause) {
  timer_.start(pause, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->poll();
  });
}

}  // namespace vmail::directory
