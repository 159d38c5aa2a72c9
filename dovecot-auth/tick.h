// When the answer to a failure leaves. Unknown, disabled and wrong leave together, whatever each of them took: at the
// first tick of a clock that is the same for all, not before a certain time after the arrival. As long as a decision
// takes less than that time, the answer's time says nothing about it.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/runtime/loop.h"

namespace vmail::auth {

struct Pace {
  Duration at_least;
  Duration step;  // between two ticks; zero: no ticks
};

// By the way that an attempt came in. Dovecot delays failures itself (auth_failure_delay), and has 30 workers that wait
// for us; Postfix does neither.
struct Paces {
  Pace sasl{std::chrono::seconds(1), std::chrono::milliseconds(500)};
  Pace lookup{std::chrono::milliseconds(100), std::chrono::milliseconds(100)};
};

inline Instant leaving(Instant arrival, Instant now, const Pace& pace) {
  const Duration earliest = std::max(arrival + pace.at_least, now).time_since_epoch();
  if (pace.step == Duration::zero()) return Instant(earliest);
  const Duration past = earliest % pace.step;
  return Instant(past == Duration::zero() ? earliest : earliest + pace.step - past);
}

// Loop thread only; what has not left with its end is dropped.
class TickQueue {
 public:
  TickQueue(Loop& loop, const Clock& clock) : clock_(clock), timer_(loop) {}

  // `answer` is called at that time, or soon when it has passed, never inside this call.
  void leave_at(Instant time, MoveOnlyFunction<void()> answer) {
    const bool is_first = waiting_.empty() || time < waiting_.begin()->first;
    waiting_[time].push_back(std::move(answer));
    if (is_first) wait();
  }

 private:
  void wait() {
    timer_.start(std::max(waiting_.begin()->first - clock_.now(), Duration::zero()), [this] { leave(); });
  }
  void leave() {
    while (!waiting_.empty() && waiting_.begin()->first <= clock_.now()) {
      // Out of the table first: an answer may bring the next failure in.
      auto answers = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      for (auto& answer : answers) answer();
    }
    if (!waiting_.empty()) wait();
  }

  const Clock& clock_;
  Timer timer_;
  std::map<Instant, std::vector<MoveOnlyFunction<void()>>> waiting_;  // at most one a tick and way
};

}  // namespace vmail::auth
