#include "sql/vmailctl/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "shared/base/text.h"

namespace vmail::sql {
namespace {

constexpr std::size_t kWidth = 20;
constexpr std::size_t kLongest = 40;  // of what is named behind the bar, so that the line stays one
constexpr std::chrono::milliseconds kFirst{1000}, kThen{200};

}  // namespace

std::string progress_line(std::uint64_t done, std::uint64_t total, const std::string& what) {
  total = std::max<std::uint64_t>(total, 1);
  done = std::min(done, total);
  const auto part = static_cast<double>(done) / static_cast<double>(total);
  const auto full = static_cast<std::size_t>(part * kWidth);
  return fmt::format("[{}{}] {:3.0f}% {} of {}  {}", std::string(full, '#'), std::string(kWidth - full, '-'),
                     part * 100, done, total, printable(what, kLongest));
}

bool on_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

Progress::Progress(std::uint64_t total, bool shown) : total_(total), shown_(shown), next_(Clock::now() + kFirst) {}

Progress::~Progress() {
  clear();
}

void Progress::step(const std::string& what) {
  ++done_;
  if (!shown_) return;
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + kThen;
  std::cerr << "\r\x1b[K" << progress_line(done_, total_, what) << std::flush;
  drawn_ = true;
}

void Progress::clear() {
  if (!drawn_) return;
  std::cerr << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

}  // namespace vmail::sql
