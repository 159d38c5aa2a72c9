// Follows the change feed: polls it, hands on what has changed, and says when it is not known what has. Prunes it too.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/directory/database.h"
#include "shared/directory/feed.h"
#include "shared/runtime/loop.h"

namespace vmail::directory {

// Loop thread only. Owned by a shared_ptr: polls that are under way hold it weakly.
class Follower : public std::enable_shared_from_this<Follower> {
 public:
  enum class State : unsigned char { Off, Followed, Lost, Unavailable };
  struct Times {
    Duration interval;  // between two polls
    Duration deadline;  // of a poll
    Duration patience;  // a feed that was not read for that long is lost
  };
  struct Events {
    // Notes that were committed before the poll that began then; none of them: all is as it was.
    MoveOnlyFunction<void(std::vector<Change> changes, Instant began)> changed;
    // It is not known what has changed: a gap, the first poll, or no feed any more.
    MoveOnlyFunction<void()> doubt;
  };
  struct Counters {
    std::uint64_t changes = 0;
    std::uint64_t gaps = 0;
  };

  // All of them outlive this.
  Follower(Loop& loop, const Clock& clock, Database& database, Times times, Events events);

  // Goes on from where a snapshot was; an empty position begins anew.
  void start(FeedPosition position);
  void stop();
  void set_times(Times times) { times_ = times; }

  State state() const;
  // Why it is not followed, in words.
  const std::string& reason() const { return reason_; }
  Instant last_poll() const { return last_poll_; }
  const FeedPosition& position() const { return feed_.position(); }
  const Counters& counters() const { return counters_; }

 private:
  void poll();
  void polled(Instant began, const Outcome<FeedAnswer>& answer);
  void unavailable(const std::string& reason);
  void prune();
  void next(Duration pause);

  Loop& loop_;
  const Clock& clock_;
  Database& database_;
  Times times_;
  Events events_;
  Feed feed_;
  State state_ = State::Off;
  std::string reason_ = "it is switched off";
  Instant last_poll_{};
  Instant next_prune_{};
  Counters counters_;
  bool stopped_ = false;
  Timer timer_;
};

}  // namespace vmail::directory
