#include "dovecot-auth/throttle/throttle.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "shared/base/text.h"
#include "shared/directory/idn.h"

namespace vmail::auth {
namespace {

using What = Throttle::Ruling::What;

constexpr std::size_t kMaxName = 254;
// A customer's IPv6 network is a /64, or a /56 of 256 of them.
constexpr unsigned kNarrow = 64, kWide = 56;
constexpr std::uint64_t kWiderFactor = 4;
// What a network that is known may guess more than others before it is known no more.
constexpr std::uint64_t kKnownFactor = 10;

std::string account_key(std::string_view account) {
  std::string key = directory::address_key(account);
  return key.empty() ? printable(fold_case(account.substr(0, kMaxName)), kMaxName) : key;
}

// The bits of the address that count, and behind them how many: 17 bytes.
std::string network_key(IpAddress address, unsigned bits) {
  for (unsigned i = bits / 8; i < address.size(); ++i) address[i] = 0;
  return std::string(address.begin(), address.end()) + static_cast<char>(bits);
}

std::string network_name(std::string_view key) {
  IpAddress address{};
  std::copy_n(key.begin(), address.size(), address.begin());
  const auto bits = static_cast<unsigned char>(key.back());
  return bits == 128 ? ip_text(address) : ip_text(address) + '/' + std::to_string(bits);
}

std::uint64_t of_limit(double level, std::uint64_t limit) {
  return limit == 0 ? 0 : static_cast<std::uint64_t>(level * 1000.0 / static_cast<double>(limit));
}

// No room for another one.
bool is_full(double level, std::uint64_t limit) {
  return limit > 0 && level > static_cast<double>(limit) - 1;
}

}  // namespace

const char* word(What what) {
  switch (what) {
    case What::Open:
      return "open";
    case What::Slow:
      return "slow";
    case What::Stop:
      break;
  }
  return "stop";
}

double Throttle::Count::now(Instant time, std::uint64_t limit, Duration window) const {
  if (limit == 0 || window <= Duration::zero()) return 0;
  const double gone = std::chrono::duration<double>(std::max(time - at, Duration::zero())) /
                      std::chrono::duration<double>(window) * static_cast<double>(limit);
  return std::max(0.0, level - gone);
}

void Throttle::Count::add(Instant time, std::uint64_t limit, Duration window) {
  level = now(time, limit, window) + 1;
  at = time;
}

bool Throttle::Tries::is_new(std::uint32_t mark) {
  mark |= 1;  // zero: nothing there
  if (std::find(seen.begin(), seen.end(), mark) != seen.end()) return false;
  seen[next] = mark;
  next = static_cast<std::uint8_t>((next + 1u) % seen.size());
  return true;
}

Throttle::Throttle(Rules rules, std::size_t most)
    : rules_(std::move(rules)), accounts_(most), networks_(most), known_(most) {}

std::string Throttle::source(std::string_view remote_ip) {
  const auto ip = parse_ip(remote_ip);
  return ip ? network_key(*ip, is_ipv4(*ip) ? 128 : kNarrow) : "";
}

std::optional<Throttle::Place> Throttle::place_of(std::string_view remote_ip) const {
  const auto ip = parse_ip(remote_ip);
  if (!ip || rules_.trusted.contains(*ip)) return std::nullopt;
  if (is_ipv4(*ip)) return Place{network_key(*ip, 128), ""};
  return Place{network_key(*ip, kNarrow), network_key(*ip, kWide)};
}

const Throttle::Known* Throttle::known_at(const std::string& account, const std::string& network, Instant now) const {
  const auto* list = known_.find(account);
  if (list == nullptr) return nullptr;
  const auto at = std::find_if(list->begin(), list->end(), [&](const Known& known) {
    return known.network == network && now - known.at < rules_.known;
  });
  return at == list->end() ? nullptr : &*at;
}

std::uint64_t Throttle::accounts_of(std::string_view network) const {
  return rules_.accounts * (network.back() == static_cast<char>(kWide) ? kWiderFactor : 1);
}

Throttle::Ruling Throttle::rule(std::string_view account, std::string_view remote_ip, Instant now) const {
  if (networks_.size() + accounts_.size() == 0) return {};  // nobody has failed
  const auto place = place_of(remote_ip);
  const std::string key = account_key(account);
  if (place && known_at(key, place->network, now) != nullptr) return {What::Open, {}, {}, true};

  double fullest = 0;
  if (place) {
    for (const std::string& network : {place->network, place->wider}) {
      const Tries* tries = network.empty() ? nullptr : networks_.find(network);
      if (tries == nullptr) continue;
      const std::uint64_t limit = accounts_of(network);
      const double level = tries->count.now(now, limit, rules_.window);
      if (is_full(level, limit)) {
        return {What::Stop, {}, "too many different accounts have failed from " + network_name(network), false};
      }
      if (limit > 0) fullest = std::max(fullest, level / static_cast<double>(limit));
    }
  }
  if (const Tries* tries = accounts_.find(key)) {
    const double level = tries->count.now(now, rules_.passwords, rules_.window);
    if (is_full(level, rules_.passwords)) {
      return {What::Stop,
              {},
              "too many different wrong passwords for this account from networks that it is not known at",
              false};
    }
    if (rules_.passwords > 0) fullest = std::max(fullest, level / static_cast<double>(rules_.passwords));
  }
  if (fullest <= 0.5) return {};
  const auto delay = std::chrono::duration_cast<Duration>(std::min(1.0, (fullest - 0.5) * 2) * kMaxDelay);
  return {What::Slow, delay, {}, false};
}

void Throttle::failed(std::string_view account, std::string_view remote_ip, std::string_view password, Instant now) {
  const auto place = place_of(remote_ip);
  const std::string key = account_key(account);
  Tries& tries = accounts_.touch(key);
  bool is_new = true;
  if (!password.empty()) {
    std::string both = key;
    both.reserve(key.size() + 1 + password.size());
    both.append(1, '\0').append(password);
    is_new = tries.is_new(static_cast<std::uint32_t>(siphash(key_, both)));
    explicit_bzero(both.data(), both.size());
  }
  tries.last = place ? network_name(place->network) : printable(remote_ip, 60);
  ++changes_;

  if (place) {
    if (const Known* known = known_at(key, place->network, now)) {
      auto& list = *known_.find(key);
      auto& guesses = list[static_cast<std::size_t>(known - list.data())].guesses;
      const std::uint64_t limit = rules_.passwords * kKnownFactor;
      if (is_new) guesses.add(now, limit, rules_.window);
      if (is_full(guesses.now(now, limit, rules_.window), limit)) {
        std::erase_if(list, [&](const Known& each) { return each.network == place->network; });
      }
      return;
    }
    for (const std::string& network : {place->network, place->wider}) {
      if (network.empty()) continue;
      Tries& there = networks_.touch(network);
      if (there.is_new(static_cast<std::uint32_t>(siphash(key_, key)))) {
        there.count.add(now, accounts_of(network), rules_.window);
      }
      there.last = key;
    }
  }
  if (is_new) tries.count.add(now, rules_.passwords, rules_.window);
}

void Throttle::succeeded(std::string_view account, std::string_view remote_ip, Instant now) {
  const auto place = place_of(remote_ip);
  if (!place) return;
  auto& list = known_.touch(account_key(account));
  const auto at =
      std::find_if(list.begin(), list.end(), [&](const Known& known) { return known.network == place->network; });
  if (at != list.end()) {
    // What is written down need not be newer than this.
    if (now - at->at > std::chrono::minutes(10)) ++changes_;
    at->at = now;
    return;
  }
  ++changes_;
  if (list.size() >= kKnownNetworks) {
    list.erase(std::min_element(list.begin(), list.end(), [](const Known& a, const Known& b) { return a.at < b.at; }));
  }
  list.push_back({place->network, now, {}});
}

Throttle::Shown Throttle::shown(const std::string& key, const Tries& tries, bool is_network, Instant now) const {
  Shown shown;
  shown.name = is_network ? network_name(key) : key;
  shown.is_network = is_network;
  shown.limit = is_network ? accounts_of(key) : rules_.passwords;
  shown.count = tries.count.now(now, shown.limit, rules_.window);
  shown.last = tries.last;
  if (is_full(shown.count, shown.limit)) {
    shown.what = What::Stop;
    const double over = shown.count - static_cast<double>(shown.limit) + 1;
    shown.opens_in = std::chrono::duration_cast<Duration>(over / static_cast<double>(shown.limit) *
                                                          std::chrono::duration<double>(rules_.window));
  } else if (of_limit(shown.count, shown.limit) > 500) {
    shown.what = What::Slow;
  }
  const auto* list = is_network ? nullptr : known_.find(key);
  if (list == nullptr) return shown;
  for (const auto& known : *list) {
    if (now - known.at < rules_.known) shown.known.push_back(network_name(known.network));
  }
  return shown;
}

std::vector<Throttle::Shown> Throttle::show(std::size_t most, Instant now) const {
  struct Found {
    std::uint64_t part;
    const std::string* key;
    const Tries* tries;
    bool is_network;
  };
  std::vector<Found> found;
  const auto gather = [&](const LruTable<Tries>& table, bool is_network) {
    for (const auto& [key, tries] : table) {
      const std::uint64_t limit = is_network ? accounts_of(key) : rules_.passwords;
      const std::uint64_t part = of_limit(tries.count.now(now, limit, rules_.window), limit);
      if (part > 0) found.push_back({part, &key, &tries, is_network});
    }
  };
  gather(networks_, true);
  gather(accounts_, false);
  const auto end = found.begin() + static_cast<std::ptrdiff_t>(std::min(most, found.size()));
  std::partial_sort(found.begin(), end, found.end(), [](const Found& a, const Found& b) { return a.part > b.part; });
  std::vector<Shown> list;
  for (auto at = found.begin(); at != end; ++at) list.push_back(shown(*at->key, *at->tries, at->is_network, now));
  return list;
}

std::vector<Throttle::Shown> Throttle::why(std::string_view name, Instant now) const {
  std::vector<Shown> list;
  if (parse_ip(name)) {
    const auto place = place_of(name);
    for (const std::string& network : {place ? place->network : "", place ? place->wider : ""}) {
      const Tries* tries = network.empty() ? nullptr : networks_.find(network);
      if (tries != nullptr) list.push_back(shown(network, *tries, true, now));
    }
    return list;
  }
  const std::string key = account_key(name);
  const Tries* tries = accounts_.find(key);
  if (tries != nullptr || known_.find(key) != nullptr) list.push_back(shown(key, tries ? *tries : Tries(), false, now));
  return list;
}

std::size_t Throttle::clear(std::string_view name) {
  ++changes_;
  if (name.empty()) {
    const std::size_t all = accounts_.size() + networks_.size();
    accounts_.clear();
    networks_.clear();
    return all;
  }
  if (!parse_ip(name)) return accounts_.erase(account_key(name)) ? 1 : 0;
  const auto place = place_of(name);
  if (!place) return 0;
  return (networks_.erase(place->network) ? 1u : 0u) + (networks_.erase(place->wider) ? 1u : 0u);
}

}  // namespace vmail::auth
