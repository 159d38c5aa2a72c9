// How much a login, a domain or a client's network may send: "recipients 2000/1d", "domain messages 5000/1h". In
// [policy] limits of vmailkit.toml, and as a rule of kind `limit` in the database.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/quota_limits.h"

namespace vmail::config {

struct Limit {
  enum class Scope : unsigned char { Login, Domain, Network };
  enum class Measure : unsigned char { Messages, Recipients, DistinctRecipients, Bytes };

  Scope scope = Scope::Login;
  Measure measure = Measure::Messages;
  std::optional<std::uint64_t> amount;  // nothing: as much as they like ("recipients none")
  std::chrono::seconds window{0};       // zero when there is no amount

  bool operator==(const Limit&) const = default;
};

// Nothing when it is none; `why` says then what is wrong, in words.
std::optional<Limit> parse_limit(std::string_view text, std::string& why);
// As it is written; the scope `login` is left out.
std::string limit_text(const Limit& limit);

// What holds when there are more exact ones: these replace what is said about the same scope and measure.
std::vector<Limit> merge_limits(std::vector<Limit> limits, const std::vector<Limit>& more);

const char* word(Limit::Scope scope);
const char* word(Limit::Measure measure);
// "1h", "2d", "90s": in the greatest unit that fits.
std::string window_text(std::chrono::seconds window);

// A size as a quota is written: digits and perhaps K, M, G or T. Nothing on anything else.
std::optional<std::uint64_t> parse_size(std::string_view text);

// A quota: a size, and perhaps how many messages as well: "5G", "5G 10000 messages", "10000 messages". 0 and "none" are
// no limit. Nothing on anything else, or on more bytes or messages than any disk holds.
std::optional<QuotaLimits> parse_quota(std::string_view text);

}  // namespace vmail::config
