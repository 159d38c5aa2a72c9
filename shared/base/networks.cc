#include "shared/base/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "shared/base/text.h"

namespace vmail {
namespace {

IpAddress mapped(const in_addr& v4) {
  IpAddress bytes{};
  bytes[10] = bytes[11] = 0xff;
  std::memcpy(bytes.data() + 12, &v4, 4);
  return bytes;
}

bool matches(const IpAddress& address, const IpNetwork& network) {
  const unsigned bits = network.bits;
  const std::size_t whole = bits / 8;
  if (std::memcmp(address.data(), network.bytes.data(), whole) != 0) return false;
  if (bits % 8 == 0) return true;
  const unsigned mask = 0xffu << (8 - bits % 8) & 0xffu;
  return ((address[whole] ^ network.bytes[whole]) & mask) == 0;
}

std::optional<IpAddress> parse(const std::string& text) {
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return mapped(v4);
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1) return std::nullopt;
  IpAddress bytes{};
  std::memcpy(bytes.data(), &v6, bytes.size());
  return bytes;
}

std::optional<IpNetwork> parse_network(const std::string& text, std::string& why) {
  const auto slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const auto bytes = parse(address);
  if (!bytes) {
    why = "is not a network such as 10.0.0.0/8 or 2001:db8::/32";
    return std::nullopt;
  }
  const unsigned width = address.find(':') == std::string::npos ? 32 : 128;
  unsigned bits = width;
  if (slash != std::string::npos) {
    const auto number = parse_number(std::string_view(text).substr(slash + 1));
    if (!number || *number > width) {
      why = "must end in the length of the prefix, a number from 0 to " + std::to_string(width);
      return std::nullopt;
    }
    bits = static_cast<unsigned>(*number);
  }
  return IpNetwork{*bytes, bits + (128 - width)};
}

}  // namespace

std::optional<IpAddress> parse_ip(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  return parse(std::string(text.substr(0, text.find('%'))));
}

bool is_ipv4(const IpAddress& address) {
  const IpAddress any = mapped({});
  return std::equal(address.begin(), address.begin() + 12, any.begin());
}

std::string ip_text(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_ipv4(address)) {
    ::inet_ntop(AF_INET, address.data() + 12, text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, address.data(), text, sizeof text);
  }
  return text;
}

std::string why_no_network(const std::string& text) {
  std::string why;
  parse_network(text, why);
  return why;
}

Networks::Networks(const std::vector<std::string>& texts) {
  for (const auto& text : texts) add(text);
  if (texts.empty()) {
    loopback_only_ = true;
    add("127.0.0.0/8");
    add("::1/128");
  }
}

void Networks::add(const std::string& text) {
  std::string why;
  const auto network = parse_network(text, why);
  if (!network) throw std::invalid_argument('"' + printable(text) + "\" " + why);
  networks_.push_back(*network);
}

bool Networks::contains(const sockaddr_storage& address) const {
  IpAddress bytes{};
  if (address.ss_family == AF_INET) {
    bytes = mapped(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  } else if (address.ss_family == AF_INET6) {
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, 16);
  } else {
    return false;
  }
  return contains(bytes);
}

bool Networks::contains(const IpAddress& address) const {
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const IpNetwork& network) { return matches(address, network); });
}

}  // namespace vmail
