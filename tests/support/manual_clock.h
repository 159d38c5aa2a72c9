// A clock that stands still until a test moves it.
#pragma once

#include "shared/base/clock.h"

namespace vmail::test {

class ManualClock final : public Clock {
 public:
  Instant now() const override {
    if (tick_ != Duration{}) now_ += tick_;  // else many threads may look
    return now_;
  }
  WallTime wall() const override { return wall_; }

  // Both clocks go on, as in real life.
  void advance(Duration by) {
    now_ += by;
    wall_ += std::chrono::duration_cast<WallTime::duration>(by);
  }
  // From now on each look takes time, so that nothing happens at the same instant as something else.
  void tick(Duration each) { tick_ = each; }
  // The administrator sets the date: only the wall clock jumps.
  void set_wall(WallTime wall) { wall_ = wall; }

 private:
  Duration tick_{};
  mutable Instant now_{std::chrono::hours(1000)};    // not zero: zero is too often "never"
  WallTime wall_{std::chrono::seconds(1700000000)};  // 2023-11-14 22:13:20 UTC
};

}  // namespace vmail::test
