// The line in the log that an attempt leaves, and its place in the metrics.
//   login user=u@d.org service=imap rip=192.0.2.1 session=x result=ok
//   login user=u@d.org service=smtp rip=192.0.2.1 result=failed reason=wrong password
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "dovecot-auth/attempt.h"
#include "shared/base/clock.h"
#include "shared/runtime/metrics.h"

namespace vmail::auth {

// `app_password` is the label of the one that was used; empty: none.
void log_login(const Attempt& attempt, const LoginOutcome& outcome, const std::string& reason,
               const std::string& app_password = {});

// Loop thread only.
class LoginLog {
 public:
  // Counts there from now on. The registry outlives this.
  void metrics(metrics::Registry& registry);
  void count(Cause cause, Duration took);
  // Of a login that came while too many strangers guessed: one line now and then for all of them.
  void turned_away(Instant now);
  void remembered();  // a login that needed no hash

  static constexpr auto kTellAgain = std::chrono::seconds(10);

 private:
  std::array<metrics::Counter*, kCauses> causes_{};
  metrics::Counter* remembered_ = nullptr;
  metrics::Histogram* time_ = nullptr;
  std::uint64_t turned_away_ = 0;  // since the last line
  Instant tell_again_{};
};

}  // namespace vmail::auth
