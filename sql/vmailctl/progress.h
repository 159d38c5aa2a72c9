// How far a long run is, on a terminal: one line on standard error that is drawn again and again. Nothing is shown
// where nobody looks, or of what is done within a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace vmail::sql {

class Progress {
 public:
  // `shown`: somebody looks (a terminal, no --json).
  Progress(std::uint64_t total, bool shown);
  ~Progress();  // takes the line away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void more(std::uint64_t total) { total_ += total; }
  void step(const std::string& what);
  // Takes the line away until the next step: something else is to be written.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::uint64_t total_;
  const bool shown_;
  std::uint64_t done_ = 0;
  Clock::time_point next_;
  bool drawn_ = false;
};

// The line, pure: "[######--------------]  30% 3 of 10  what".
std::string progress_line(std::uint64_t done, std::uint64_t total, const std::string& what);
// Is standard error a terminal?
bool on_terminal();

}  // namespace vmail::sql
