#include "shared/runtime/log.h"

#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <string>

namespace vmail::log {
namespace {
std::atomic<Target> g_target{Target::Stderr};
std::atomic<Level> g_level{Level::Info};

int syslog_priority(Level level) {
  switch (level) {
    case Level::Error:
      return LOG_ERR;
    case Level::Warning:
      return LOG_WARNING;
    case Level::Info:
      return LOG_INFO;
    case Level::Debug:
      return LOG_DEBUG;
  }
  return LOG_ERR;
}

constexpr std::array<std::string_view, 4> kWords = {"error", "warning", "info", "debug"};
}  // namespace

void open(const char* program, Target target) {
  g_target = target;
  if (target == Target::Syslog) openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

Target target() {
  return g_target;
}
void set_level(Level level) {
  g_level = level;
}
Level level() {
  return g_level;
}

std::string_view word(Level level) {
  return kWords[static_cast<std::size_t>(level)];
}
std::optional<Level> level_of(std::string_view word) {
  const auto at = std::find(kWords.begin(), kWords.end(), word);
  if (at == kWords.end()) return std::nullopt;
  return static_cast<Level>(at - kWords.begin());
}

void write(Level level, std::string_view line) {
  const int priority = syslog_priority(level);
  if (g_target == Target::Syslog) {
    syslog(priority, "%.*s", static_cast<int>(line.size()), line.data());
    return;
  }
  // The "<N>" prefix is sd-daemon(3)'s: journald takes the priority from it. One write, so that lines do not mix.
  const std::string text = fmt::format("<{}>{}\n", priority, line);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

bool Throttle::allow(std::size_t& suppressed) {
  constexpr long long kIntervalMs = 10000;
  const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
  const long long now = std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count();
  if (now < next_ms_) {
    ++suppressed_;
    return false;
  }
  next_ms_ = now + kIntervalMs;
  suppressed = suppressed_;
  suppressed_ = 0;
  return true;
}

}  // namespace vmail::log
