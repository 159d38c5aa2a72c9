// Questions for rows that are under way to the database. Whoever needs the same rows joins the flight that is there;
// addresses that wait at the same moment share a statement: a few are out at a time, and what comes meanwhile goes
// together with the next.
//
// Loop thread only. Owned by a shared_ptr: what the database calls holds it weakly.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"
#include "shared/directory/cache.h"
#include "shared/directory/database.h"
#include "shared/runtime/loop.h"

namespace vmail::directory {

constexpr std::size_t kStatementsOut = 2;
constexpr std::size_t kKeysOut = 128;  // of one statement, but for the last flight's
// For no longer than this does anybody wait for as many as went together the last time.
constexpr Duration kGathering = std::chrono::microseconds(200);
// And for no longer than this for others' statements: they may be slow ones.
constexpr Duration kPatience = std::chrono::milliseconds(1);

template <class Row>
class Flights : public std::enable_shared_from_this<Flights<Row>> {
 public:
  using Read = std::unordered_map<std::string, Row>;
  using Keys = std::vector<std::string>;
  using Landing = MoveOnlyFunction<void(const Outcome<Read>& rows, Instant began)>;

  struct Tower {
    MoveOnlyFunction<void(Keys keys, Instant deadline, Database::Done<Read> done)> ask;
    // What a statement has brought, before anybody who waits for it; then, for each flight in it, its part.
    MoveOnlyFunction<void(Read& rows)> read;
    MoveOnlyFunction<void(const Keys& keys, const Read& rows, Instant began)> keep;
    // A statement brought nothing. True: the database is not to be asked for now.
    MoveOnlyFunction<bool(const std::string& key, Instant began, const std::string& reason)> failed;
  };

  // `statements`: how many are out at the most.
  Flights(Loop& loop, const Clock& clock, std::size_t statements, Tower tower)
      : clock_(clock), statements_(std::max(statements, kStatementsOut)), tower_(std::move(tower)), timer_(loop) {}

  // Calls `landing` once. `key` names the flight; `joins` says whether one that began then is an answer to this
  // question too. Else `keys` are asked for, by `deadline`.
  template <class Joins, class MakeKeys>
  void join(const std::string& key, Joins joins, MakeKeys keys, Instant deadline, Landing landing) {
    FlightPtr& place = flights_[key];
    const bool joined = place && (!place->began || joins(*place->began));
    if (!joined) {
      place = std::make_shared<Flight>();
      place->keys = keys();
      place->deadline = deadline;
      waiting_.emplace_back(key, place);
    }
    place->waiters.push_back(std::move(landing));
    if (!joined) depart(false);
  }

  // Those who wait for a statement are not asked any more.
  void give_up(const std::string& reason) {
    timer_.cancel();
    armed_ = false;
    const auto failed = Outcome<Read>::temp_fail(reason);
    for (const auto& [key, flight] : std::exchange(waiting_, {})) {
      flights_.erase(key);
      for (auto& waiter : std::exchange(flight->waiters, {})) waiter(failed, clock_.now());
    }
  }

 private:
  struct Flight {
    Keys keys;
    Instant deadline;
    std::optional<Instant> began;  // nothing: it waits to go with the next statement
    std::vector<Landing> waiters;
  };
  using FlightPtr = std::shared_ptr<Flight>;
  using Batch = std::vector<std::pair<std::string, FlightPtr>>;

  // Sends a statement for those who wait, unless it is better to wait; `waited`: they have, for long enough.
  void depart(bool waited) {
    while (!waiting_.empty() && out_ < statements_) {
      const bool together = waiting_.size() >= expected_ && out_ < kStatementsOut;
      if (!together && !waited) return wait(out_ < kStatementsOut ? kGathering : kPatience);
      expected_ = waiting_.size();
      send(board());
    }
  }

  void wait(Duration patience) {
    if (std::exchange(armed_, true)) return;
    timer_.start(patience, [weak = this->weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->armed_ = false;
      self->depart(true);
    });
  }

  Batch board() {
    std::size_t keys = 0;
    auto last = waiting_.begin();
    for (; last != waiting_.end() && keys < kKeysOut; ++last) keys += last->second->keys.size();
    Batch batch(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(last));
    waiting_.erase(waiting_.begin(), last);
    return batch;
  }

  void send(Batch batch) {
    Keys keys;
    const Instant now = clock_.now();
    Instant deadline = Instant::max();
    for (const auto& [key, flight] : batch) {
      keys.insert(keys.end(), flight->keys.begin(), flight->keys.end());
      flight->began = now;
      deadline = std::min(deadline, flight->deadline);
    }
    if (batch.size() > 1) {
      std::sort(keys.begin(), keys.end());
      keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    }
    ++out_;
    tower_.ask(std::move(keys), deadline,
               [weak = this->weak_from_this(), batch = std::move(batch)](Outcome<Read> read) mutable {
                 if (const auto self = weak.lock()) self->land(batch, read);
               });
  }

  void land(const Batch& batch, Outcome<Read>& read) {
    --out_;
    for (const auto& [key, flight] : batch) {
      const auto found = flights_.find(key);
      if (found != flights_.end() && found->second == flight) flights_.erase(found);
    }
    const Instant began = *batch.front().second->began;
    bool away = false;
    if (read.is_found()) {
      auto rows = std::move(read).value();
      tower_.read(rows);
      for (const auto& [key, flight] : batch) tower_.keep(flight->keys, rows, began);
      read = Outcome<Read>::found(std::move(rows));
    } else {
      away = tower_.failed(batch.front().first, began, read.reason());
    }
    for (const auto& [key, flight] : batch) {
      for (auto& waiter : std::exchange(flight->waiters, {})) waiter(read, began);
    }
    if (away) give_up(read.reason());
    depart(false);
  }

  const Clock& clock_;
  const std::size_t statements_;
  Tower tower_;
  std::unordered_map<std::string, FlightPtr, SeededHash> flights_;  // by the first key of the ladder
  Batch waiting_;
  std::size_t out_ = 0;       // statements
  std::size_t expected_ = 1;  // flights that will go together: as many as the last time
  bool armed_ = false;
  Timer timer_;
};

}  // namespace vmail::directory
