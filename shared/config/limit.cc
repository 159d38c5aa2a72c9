#include "shared/config/limit.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "shared/base/text.h"

namespace vmail::config {
namespace {

constexpr std::array<const char*, 3> kScopes = {"login", "domain", "network"};
constexpr std::array<const char*, 4> kMeasures = {"messages", "recipients", "distinct-recipients", "bytes"};
constexpr std::pair<char, std::uint64_t> kTimes[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
constexpr std::pair<char, std::uint64_t> kSizes[] = {
    {'K', 1u << 10}, {'M', 1u << 20}, {'G', 1u << 30}, {'T', std::uint64_t{1} << 40}};
// Counters are kept for as long as a window.
constexpr std::uint64_t kMaxWindow = 31 * 86400;

template <std::size_t N>
std::optional<std::size_t> index_of(const std::array<const char*, N>& words, std::string_view text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (text == words[i]) return i;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> times(std::optional<std::uint64_t> number, std::uint64_t unit) {
  if (!number || *number > std::numeric_limits<std::uint64_t>::max() / unit) return std::nullopt;
  return *number * unit;
}

std::optional<std::uint64_t> parse_window(std::string_view text) {
  for (const auto& [letter, seconds] : kTimes) {
    if (text.size() > 1 && text.back() == letter) return times(parse_number(text.substr(0, text.size() - 1)), seconds);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  for (const auto& [letter, bytes] : kSizes) {
    if (text.size() > 1 && text.back() == letter) return times(parse_number(text.substr(0, text.size() - 1)), bytes);
  }
  return parse_number(text);
}

std::optional<QuotaLimits> parse_quota(std::string_view text) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 60;
  auto parts = words(text);
  QuotaLimits limits;
  if (parts.size() >= 2 && parts.back() == "messages") {
    const auto messages = parse_number(parts[parts.size() - 2]);
    if (!messages || *messages > kMost) return std::nullopt;
    limits.messages = *messages;
    parts.resize(parts.size() - 2);
    if (parts.empty()) return limits;
  }
  if (parts.size() != 1) return std::nullopt;
  const auto bytes = parts[0] == "none" ? 0 : parse_size(parts[0]);
  if (!bytes || *bytes > kMost) return std::nullopt;
  limits.bytes = *bytes;
  return limits;
}

std::optional<Limit> parse_limit(std::string_view text, std::string& why) {
  auto parts = words(text);
  Limit limit;
  if (const auto scope = parts.empty() ? std::nullopt : index_of(kScopes, parts[0])) {
    limit.scope = static_cast<Limit::Scope>(*scope);
    parts.erase(parts.begin());
  }
  if (parts.size() != 2) {
    why = "must be like \"recipients 2000/1d\", with login, domain or network before it, or \"recipients none\"";
    return std::nullopt;
  }
  const auto measure = index_of(kMeasures, parts[0]);
  if (!measure) {
    why = "must count messages, recipients, distinct-recipients or bytes";
    return std::nullopt;
  }
  limit.measure = static_cast<Limit::Measure>(*measure);
  if (parts[1] == "none") return limit;

  const auto slash = parts[1].find('/');
  const std::string_view number = std::string_view(parts[1]).substr(0, slash);
  limit.amount = limit.measure == Limit::Measure::Bytes ? parse_size(number) : parse_number(number);
  const auto window = slash == std::string::npos ? std::nullopt : parse_window(parts[1].substr(slash + 1));
  if (!limit.amount || !window) {
    why = "must end in an amount and a time, such as 500/1h, 2000/1d, or 1G/1d for bytes; or in none";
    return std::nullopt;
  }
  // Half of what there is, so that no sum of counters overflows.
  if (*limit.amount > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 2)) {
    why = "allows more than can be counted; say none";
    return std::nullopt;
  }
  if (*window < 60 || *window > kMaxWindow) {
    why = "must have a time from 1m to 31d";
    return std::nullopt;
  }
  limit.window = std::chrono::seconds(*window);
  return limit;
}

std::string limit_text(const Limit& limit) {
  std::string text = limit.scope == Limit::Scope::Login ? "" : word(limit.scope) + std::string(" ");
  text.append(word(limit.measure)).append(" ");
  if (!limit.amount) return text + "none";
  return text + std::to_string(*limit.amount) + '/' + window_text(limit.window);
}

std::vector<Limit> merge_limits(std::vector<Limit> limits, const std::vector<Limit>& more) {
  std::erase_if(limits, [&](const Limit& limit) {
    return std::any_of(more.begin(), more.end(), [&](const Limit& other) {
      return other.scope == limit.scope && other.measure == limit.measure;
    });
  });
  limits.insert(limits.end(), more.begin(), more.end());
  return limits;
}

const char* word(Limit::Scope scope) {
  return kScopes[static_cast<std::size_t>(scope)];
}

const char* word(Limit::Measure measure) {
  return kMeasures[static_cast<std::size_t>(measure)];
}

std::string window_text(std::chrono::seconds window) {
  const auto seconds = static_cast<std::uint64_t>(window.count());
  for (const auto& [letter, size] : kTimes) {
    if (seconds % size == 0) return std::to_string(seconds / size) + letter;
  }
  return std::to_string(seconds) + 's';
}

}  // namespace vmail::config
