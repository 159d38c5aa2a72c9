// What a daemon's reply to "status" means for whoever watches it.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vmail::sql {

// The exit statuses that monitoring expects.
enum class Level { Good = 0, Warning = 1, Critical = 2, Unknown = 3 };

const char* level_name(Level level);
// Critical, then unknown, then a warning: what cannot be seen may be worse than what is mildly wrong.
Level worse(Level a, Level b);

struct Finding {
  Level level = Level::Good;
  std::string text;
};

struct Expected {
  std::string version;                      // of this program
  std::chrono::milliseconds feed_interval;  // of [directory]
};

// What is wrong, the worst first; nothing when all is well. `now` in seconds since the epoch. A daemon of another
// version may say less or other things: what is not there is not judged.
std::vector<Finding> judge(const nlohmann::json& status, const Expected& expected, std::int64_t now);

// Fields of such a reply; the default when there is none of that type.
std::string text_at(const nlohmann::json& object, const std::string& section, const std::string& key);
double number_at(const nlohmann::json& object, const std::string& section, const std::string& key);
bool flag_at(const nlohmann::json& object, const std::string& section, const std::string& key);

// "45 s", "3 min", "2 h 5 min", "4 d 1 h".
std::string age_text(std::int64_t seconds);
// "2025-11-22 17:01:12 (3 min ago)", in local time.
std::string since_text(std::int64_t time, std::int64_t now);
// "512 B", "1.5 MiB".
std::string size_text(double bytes);

}  // namespace vmail::sql
