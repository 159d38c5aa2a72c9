// Time behind a seam, so that tests move it by hand.
#pragma once

#include <chrono>

namespace vmail {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;
using WallTime = std::chrono::system_clock::time_point;

// Thread-safe in the real implementation; a test's clock belongs to the test's thread.
class Clock {
 public:
  virtual ~Clock() = default;
  // For lifetimes and deadlines: never goes back, means nothing after a restart.
  virtual Instant now() const = 0;
  // For what is written down: file names, headers.
  virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  Instant now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
};

}  // namespace vmail
