// Keeps a dead database from costing every look-up its deadline: after a failure nobody asks any more but a probe,
// until one question has been answered.
//
// Closed -> open when a question fails and none has been answered since it began; open -> half open while the probe is
// out; -> closed when anything is answered. Pure; loop thread only.
#pragma once

#include <string>

#include "shared/base/clock.h"

namespace vmail::directory {

class Breaker {
 public:
  enum class State : unsigned char { Closed, Open, HalfOpen };

  State state() const { return state_; }
  bool closed() const { return state_ == State::Closed; }
  // Why it is open, in words.
  const std::string& reason() const { return reason_; }

  // True when this closes it.
  bool succeeded(Instant now);
  // True when this opens it.
  bool failed(Instant began, const std::string& reason);
  // The probe goes out; and it has failed.
  void probing() { state_ = State::HalfOpen; }

 private:
  State state_ = State::Closed;
  Instant last_success_ = Instant::min();
  std::string reason_;
};

}  // namespace vmail::directory
