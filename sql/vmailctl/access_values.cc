#include "sql/vmailctl/access_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <stdexcept>
#include <string_view>

#include "shared/base/networks.h"
#include "shared/base/text.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

constexpr std::array<std::string_view, 4> kServices = {"imap", "pop3", "smtp", "sieve"};
constexpr std::size_t kMostNetworks = 2000;  // bytes of the column

// In lower case, each once.
std::vector<std::string> words_of(const std::string& list) {
  std::string text = fold_case(list);
  std::replace(text.begin(), text.end(), ',', ' ');
  std::vector<std::string> unique;
  for (auto& word : words(text)) {
    if (std::find(unique.begin(), unique.end(), word) == unique.end()) unique.push_back(std::move(word));
  }
  return unique;
}

bool is_all(const std::vector<std::string>& names) {
  return names.size() == 1 && names.front() == "all";
}

// Two digits, or four for a year.
int number_at(std::string_view text, std::size_t at, std::size_t digits) {
  const auto number = parse_number(text.substr(at, digits));
  return number ? static_cast<int>(*number) : -1;
}

}  // namespace

std::string services_value(const std::string& list) {
  const auto names = words_of(list);
  if (is_all(names)) return "";
  for (const auto& word : names) {
    if (std::find(kServices.begin(), kServices.end(), word) != kServices.end()) continue;
    throw Refusal(fmt::format("'{}' is no service that a login could be for", printable(word)),
                  fmt::format("There are: {}; or all.", fmt::join(kServices, ", ")));
  }
  if (names.empty())
    throw Refusal("no service is named", fmt::format("There are: {}; or all.", fmt::join(kServices, ", ")));
  return fmt::format("{}", fmt::join(names, " "));
}

std::string networks_value(const std::string& list) {
  const auto names = words_of(list);
  if (is_all(names)) return "";
  constexpr const char* kHint = "Such as 192.0.2.0/24 or 2001:db8::/32, separated by blanks; or all.";
  if (names.empty()) throw Refusal("no network is named", kHint);
  try {
    const Networks networks(names);
  } catch (const std::invalid_argument& error) {
    throw Refusal(error.what(), kHint);
  }
  std::string value = fmt::format("{}", fmt::join(names, " "));
  if (value.size() > kMostNetworks) {
    throw Refusal(fmt::format("the networks take {} characters, and there is room for {}", value.size(), kMostNetworks),
                  "Name larger ones.");
  }
  return value;
}

std::int64_t time_value(const std::string& text, OfDay of_day) {
  if (text == "never") return 0;
  const auto refusal = [&] {
    return Refusal(fmt::format("'{}' is no date", printable(text)),
                   "Such as 2027-01-31 or '2027-01-31 18:00', in the time of this host; or never.");
  };
  const bool with_time = text.size() == 16;
  if ((text.size() != 10 && !with_time) || text[4] != '-' || text[7] != '-') throw refusal();
  if (with_time && (text[10] != ' ' || text[13] != ':')) throw refusal();
  std::tm time{};
  time.tm_year = number_at(text, 0, 4) - 1900;
  time.tm_mon = number_at(text, 5, 2) - 1;
  time.tm_mday = number_at(text, 8, 2);
  if (with_time) {
    time.tm_hour = number_at(text, 11, 2);
    time.tm_min = number_at(text, 14, 2);
  } else if (of_day == OfDay::End) {
    time.tm_hour = 23;
    time.tm_min = 59;
    time.tm_sec = 59;
  }
  time.tm_isdst = -1;
  std::tm normal = time;
  const std::time_t seconds = std::mktime(&normal);
  // February 30 becomes March 2; an hour that summer time leaves out may shift.
  if (normal.tm_year != time.tm_year || normal.tm_mon != time.tm_mon || normal.tm_mday != time.tm_mday ||
      normal.tm_min != time.tm_min || time.tm_hour < 0 || time.tm_hour > 23 || seconds <= 0) {
    throw refusal();
  }
  return seconds;
}

std::string time_text(std::int64_t seconds) {
  if (seconds == 0) return "-";
  const std::time_t time = seconds;
  std::tm local{};
  if (::localtime_r(&time, &local) == nullptr) return std::to_string(seconds);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local)};
}

}  // namespace vmail::sql
