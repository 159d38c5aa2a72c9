#include "sql/vmailctl/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

namespace vmail::sql {
namespace {

using nlohmann::json;

const json* find(const json& object, const std::string& section, const std::string& key) {
  const auto inner = object.is_object() ? object.find(section) : object.end();
  if (inner == object.end() || !inner->is_object()) return nullptr;
  const auto value = inner->find(key);
  return value == inner->end() ? nullptr : &*value;
}

std::int64_t time_at(const json& object, const std::string& section, const std::string& key) {
  return static_cast<std::int64_t>(number_at(object, section, key));
}

std::string because(const std::string& reason) {
  return reason.empty() ? "" : ": " + reason;
}

}  // namespace

const char* level_name(Level level) {
  switch (level) {
    case Level::Good:
      return "good";
    case Level::Warning:
      return "warning";
    case Level::Critical:
      return "critical";
    case Level::Unknown:
      break;
  }
  return "unknown";
}

Level worse(Level a, Level b) {
  const auto rank = [](Level level) { return level == Level::Critical ? 4 : static_cast<int>(level); };
  return rank(a) >= rank(b) ? a : b;
}

std::string text_at(const json& object, const std::string& section, const std::string& key) {
  const json* value = find(object, section, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

double number_at(const json& object, const std::string& section, const std::string& key) {
  const json* value = find(object, section, key);
  return value != nullptr && value->is_number() ? value->get<double>() : 0;
}

bool flag_at(const json& object, const std::string& section, const std::string& key) {
  const json* value = find(object, section, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

std::string age_text(std::int64_t seconds) {
  seconds = std::max<std::int64_t>(seconds, 0);
  const auto two = [](std::int64_t large, const char* unit, std::int64_t small, const char* small_unit) {
    return small == 0 ? fmt::format("{} {}", large, unit) : fmt::format("{} {} {} {}", large, unit, small, small_unit);
  };
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 86400) return two(seconds / 3600, "h", seconds / 60 % 60, "min");
  return two(seconds / 86400, "d", seconds / 3600 % 24, "h");
}

std::string since_text(std::int64_t time, std::int64_t now) {
  const auto wall = static_cast<std::time_t>(time);
  std::tm parts{};
  char text[32] = "?";
  if (::localtime_r(&wall, &parts) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return fmt::format("{} ({} ago)", text, age_text(now - time));
}

std::string size_text(double bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{:.0f} B", bytes);
  std::size_t unit = 0;
  for (bytes /= 1024; bytes >= 1024 && unit + 1 < std::size(kUnits); bytes /= 1024) ++unit;
  return fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::vector<Finding> judge(const json& status, const Expected& expected, std::int64_t now) {
  std::vector<Finding> findings;
  const auto add = [&](Level level, std::string text) { findings.push_back({level, std::move(text)}); };
  const auto since = [&](const char* section) {
    const auto time = time_at(status, section, "since");
    return time == 0 ? std::string() : " since " + since_text(time, now);
  };
  const bool has_database = find(status, "database", "answers") != nullptr;
  const bool database_answers = flag_at(status, "database", "answers");
  const bool stale = flag_at(status, "stale", "serving");

  if (has_database && !database_answers) {
    const std::string failure = because(text_at(status, "database", "last_failure"));
    add(Level::Critical,
        stale ? fmt::format("answers are stale{}: the database does not answer{}", since("stale"), failure)
              : fmt::format("the database does not answer{}{}", since("database"), failure));
  } else if (stale) {
    add(Level::Warning, fmt::format("answers are stale{}, though the database answers", since("stale")));
  }
  if (find(status, "domains", "read") != nullptr && time_at(status, "domains", "read") == 0) {
    add(Level::Critical, "the domains have not been read yet: all questions are answered as temporary failures");
  }
  if (flag_at(status, "guard", "tripped")) {
    add(Level::Critical, fmt::format("the guard holds{}{}; what was there before serves on. If the loss is right: "
                                     "vmailctl cache confirm",
                                     since("guard"), because(text_at(status, "guard", "what"))));
  }
  const std::string feed = text_at(status, "feed", "state");
  const std::string reason = because(text_at(status, "feed", "reason"));
  if (feed == "unavailable") {
    add(Level::Warning,
        fmt::format("there is no change feed{}; changes are seen when lifetimes end. To make one: vmailctl "
                    "schema upgrade; to do without: directory.feed = false",
                    reason));
  } else if (feed == "lost" && database_answers) {
    add(Level::Warning, fmt::format("the change feed is not followed{}", reason));
  } else if (feed == "followed") {
    const double interval = std::chrono::duration<double>(expected.feed_interval).count();
    const double lag = number_at(status, "feed", "lag");
    if (lag > 10 + 3 * interval) {
      add(Level::Warning,
          fmt::format("the change feed was last read {} ago", age_text(static_cast<std::int64_t>(lag))));
    }
  }
  if (const auto error = text_at(status, "snapshot", "error"); !error.empty()) {
    add(Level::Warning, fmt::format("the snapshot cannot be written: {}", error));
  }
  const auto version = status.find("version");
  if (version == status.end() || *version != expected.version) {
    const std::string other = version != status.end() && version->is_string() ? version->get<std::string>() : "another";
    add(Level::Warning,
        fmt::format("it is of version {}, and this vmailctl of {}: restart it", other, expected.version));
  }
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return a.level != b.level && worse(a.level, b.level) == a.level;
  });
  return findings;
}

}  // namespace vmail::sql
