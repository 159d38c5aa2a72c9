// What of the throttle survives a restart: lines of text, the name at the end of each.
//   vmailkit-throttle 1 UNIX-TIME
//   account LEVEL-IN-THOUSANDTHS NAME
//   network LEVEL-IN-THOUSANDTHS ADDRESS BITS
//   known AGE-IN-SECONDS ADDRESS BITS NAME
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "dovecot-auth/throttle/throttle.h"
#include "shared/base/text.h"

namespace vmail::auth {
namespace {

constexpr std::string_view kMagic = "vmailkit-throttle 1 ";
constexpr std::uint64_t kMaxLevel = 1'000'000'000;
constexpr std::uint64_t kMaxAge = 100ull * 366 * 24 * 3600;

std::int64_t seconds(WallTime wall) {
  return std::chrono::duration_cast<std::chrono::seconds>(wall.time_since_epoch()).count();
}

std::string age(Instant at, Instant now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - at).count();
  return std::to_string(std::max<std::int64_t>(seconds, 0));
}

std::string network_text(std::string_view key) {
  IpAddress address{};
  std::copy_n(key.begin(), address.size(), address.begin());
  return ip_text(address) + ' ' + std::to_string(static_cast<unsigned char>(key.back()));
}

std::optional<std::string> network_of(std::string_view address, std::string_view bits_text) {
  const auto ip = parse_ip(address);
  const auto bits = parse_number(bits_text);
  if (!ip || !bits || (*bits != 56 && *bits != 64 && *bits != 128)) return std::nullopt;
  return std::string(ip->begin(), ip->end()) + static_cast<char>(*bits);
}

// Takes the next word off the line.
std::string_view next_word(std::string_view& line) {
  const auto blank = line.find(' ');
  const auto word = line.substr(0, blank);
  line.remove_prefix(blank == std::string_view::npos ? line.size() : blank + 1);
  return word;
}

std::optional<std::uint64_t> next_number(std::string_view& line, std::uint64_t most) {
  const auto number = parse_number(next_word(line));
  return number && *number <= most ? number : std::nullopt;
}

}  // namespace

std::string Throttle::save(Instant now, WallTime wall) const {
  std::string text = std::string(kMagic) + std::to_string(seconds(wall)) + '\n';
  const auto add = [&](const char* kind, const Tries& tries, std::uint64_t limit, const std::string& name) {
    const double level = std::min(tries.count.now(now, limit, rules_.window), 1e6);
    if (level < 0.001) return;
    text.append(kind).append(std::to_string(static_cast<std::uint64_t>(level * 1000))).append(" ");
    text.append(name).append("\n");
  };
  for (const auto& [key, tries] : accounts_) add("account ", tries, rules_.passwords, key);
  for (const auto& [key, tries] : networks_) add("network ", tries, accounts_of(key), network_text(key));
  for (const auto& [key, list] : known_) {
    for (const auto& known : list) {
      text.append("known ").append(age(known.at, now)).append(" ").append(network_text(known.network));
      text.append(" ").append(key).append("\n");
    }
  }
  return text;
}

bool Throttle::load(std::string_view text, Instant now, WallTime wall) {
  const auto line_end = text.find('\n');
  std::string_view head = text.substr(0, line_end);
  if (line_end == std::string_view::npos || !head.starts_with(kMagic)) return false;
  const auto saved_at = parse_number(head.substr(kMagic.size()));
  if (!saved_at || *saved_at > static_cast<std::uint64_t>(seconds(WallTime::max()))) return false;
  // A clock that was set back meanwhile makes nothing younger than it was.
  const auto away =
      std::chrono::seconds(std::max<std::int64_t>(seconds(wall) - static_cast<std::int64_t>(*saved_at), 0));
  const Instant saved = now - std::min<std::chrono::seconds>(away, std::chrono::seconds(kMaxAge));

  bool good = true;
  text.remove_prefix(line_end + 1);
  while (!text.empty()) {
    const auto end = text.find('\n');
    good = end != std::string_view::npos && load_line(text.substr(0, end), saved, now) && good;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return good;
}

bool Throttle::load_line(std::string_view line, Instant saved, Instant now) {
  const auto kind = next_word(line);
  if (kind == "known") {
    const auto old = next_number(line, kMaxAge);
    const auto address = next_word(line);
    const auto network = network_of(address, next_word(line));
    if (!old || !network || line.empty() || line.size() > 1024) return false;
    const Instant at = saved - std::chrono::seconds(*old);
    if (now - at >= rules_.known) return true;
    auto& list = known_.touch(line);
    if (list.size() < kKnownNetworks) list.push_back({*network, at, {}});
    return true;
  }
  const auto level = next_number(line, kMaxLevel);
  if (!level || line.empty() || line.size() > 1024) return false;
  Tries* tries = nullptr;
  if (kind == "account") {
    tries = &accounts_.touch(line);
  } else if (kind == "network") {
    const auto address = next_word(line);
    const auto network = network_of(address, line);
    if (network) tries = &networks_.touch(*network);
  }
  if (tries == nullptr) return false;
  tries->count.level = static_cast<double>(*level) / 1000;
  tries->count.at = saved;
  return true;
}

}  // namespace vmail::auth
