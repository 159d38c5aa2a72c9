// A table that was emptied by mistake looks like any other change. A new reading that has lost too much is not
// believed: what was known before serves on, loudly, until an administrator confirms.
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <string>

#include "shared/base/clock.h"

namespace vmail::directory {

class Guard {
 public:
  // `max_loss`: percent that may be gone.
  Guard(const Clock& clock, std::uint64_t max_loss) : clock_(clock), max_loss_(max_loss) {}
  void set_max_loss(std::uint64_t percent) { max_loss_ = percent; }

  // May `now` be what has become of `before`? Sites with a handful of rows lose most of them in good faith, but not
  // all.
  bool plausible(std::size_t before, std::size_t now) const;
  // Trips, or goes on being tripped, and says so in the log, at first and now and then. `what` is a sentence.
  void trip(const std::string& what);
  // What comes next is believed. True when it was tripped.
  bool confirm();
  // A reading was taken: what comes after it is doubted again.
  void accepted();

  bool tripped() const { return tripped_; }
  const std::string& what() const { return what_; }
  WallTime since() const { return since_; }

 private:
  const Clock& clock_;
  std::uint64_t max_loss_;
  bool tripped_ = false;
  bool confirmed_ = false;
  std::string what_;
  WallTime since_{};
  Instant last_logged_{};
};

}  // namespace vmail::directory
