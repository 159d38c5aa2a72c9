// Who is let in of those that hold one of Dovecot's few workers (Way::Lookup) and come from where their account is not
// known. Usually all: after a restart of the mail server all its users may come at once. But guesses would hold every
// worker, each for its hash and until the tick, and those who are known would wait in Dovecot, out of our sight. So
// while most strangers fail, few are looked at together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

namespace vmail::auth {

// Loop thread only.
class Strangers {
 public:
  // Half of the workers that Dovecot has unless it is told otherwise (2.3: auth_worker_max_count, 2.4: process_limit).
  static constexpr std::size_t kTogether = 15;
  static constexpr int kMostFail = 20;  // so many more have failed lately than were right

  using Place = std::shared_ptr<const void>;

  // Held by the attempt until its answer has left. Empty: it is to be turned away.
  Place enter() const { return failing_ >= kMostFail && inside() >= kTogether ? nullptr : door_; }
  void failed() { failing_ = std::min(failing_ + 1, 2 * kMostFail); }
  void was_right() { failing_ = std::max(failing_ - 1, 0); }

 private:
  std::size_t inside() const { return static_cast<std::size_t>(door_.use_count() - 1); }

  const Place door_ = std::make_shared<char>();
  int failing_ = 0;
};

}  // namespace vmail::auth
