// Questions for rows that are under way to the database. Whoever needs the same rows joins the flight that is there.
// Addresses that come while each connection has a statement go together with the next, since sixteen cost the database
// three times as much as one.
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

namespace vmail::directory {

constexpr std::size_t kKeysOut = 128;  // of one statement, but for the last flight's

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

  Flights(const Clock& clock, std::size_t connections, Tower tower)
      : clock_(clock), statements_(connections), tower_(std::move(tower)) {}

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
    if (!joined) depart();
  }

  // Those who wait for a statement are not asked any more.
  void give_up(const std::string& reason) {
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

  void depart() {
    while (!waiting_.empty() && out_ < statements_) send(board());
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
    depart();
  }

  const Clock& clock_;
  const std::size_t statements_;  // out at the most
  Tower tower_;
  std::unordered_map<std::string, FlightPtr, SeededHash> flights_;  // by the first key of the ladder
  Batch waiting_;
  std::size_t out_ = 0;  // statements
};

}  // namespace vmail::directory
