// The log: syslog facility mail (so that mail.log, fail2ban and logwatch see it), or stderr. One line per event, in the
// form "event key=value ...: words". From any thread. What outsiders sent goes through printable() first.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string_view>

namespace vmail::log {

enum class Level { Error, Warning, Info, Debug };
enum class Target { Stderr, Syslog };

// Once, before the threads start. `program` is the syslog tag and must outlive the log.
void open(const char* program, Target target);
Target target();
void set_level(Level level);
Level level();
// "error", "warning", "info" or "debug", and back; nothing for another word.
std::string_view word(Level level);
std::optional<Level> level_of(std::string_view word);
void write(Level level, std::string_view line);

template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Error, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (level() >= Level::Warning) write(Level::Warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (level() >= Level::Info) write(Level::Info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (level() >= Level::Debug) write(Level::Debug, fmt::format(format, std::forward<Args>(args)...));
}

// Lets one line through every ten seconds and says how many were held back; for what a broken peer can repeat without
// end. Loop thread or one thread only.
class Throttle {
 public:
  // True when a line may be written now; `suppressed` is how many were not since the last.
  bool allow(std::size_t& suppressed);

 private:
  long long next_ms_ = 0;
  std::size_t suppressed_ = 0;
};

}  // namespace vmail::log
