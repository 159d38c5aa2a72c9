#include "shared/base/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>
#include <stdexcept>

#include "shared/base/text.h"

namespace vmail {
namespace {

using Bytes16 = std::array<std::uint8_t, 16>;

Bytes16 mapped(const in_addr& v4) {
  Bytes16 bytes{};
  bytes[10] = bytes[11] = 0xff;
  std::memcpy(bytes.data() + 12, &v4, 4);
  return bytes;
}

bool matches(const Bytes16& address, const Bytes16& network, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (std::memcmp(address.data(), network.data(), whole) != 0) return false;
  if (bits % 8 == 0) return true;
  const unsigned mask = 0xffu << (8 - bits % 8) & 0xffu;
  return ((address[whole] ^ network[whole]) & mask) == 0;
}

}  // namespace

Networks::Networks(const std::vector<std::string>& texts) {
  for (const auto& text : texts) add(text);
  if (texts.empty()) {
    loopback_only_ = true;
    add("127.0.0.0/8");
    add("::1/128");
  }
}

void Networks::add(const std::string& text) {
  const auto slash = text.find('/');
  const std::string address = text.substr(0, slash);
  in_addr v4{};
  in6_addr v6{};
  Network network{};
  unsigned width = 128;
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    network.bytes = mapped(v4);
    width = 32;
  } else if (::inet_pton(AF_INET6, address.c_str(), &v6) == 1) {
    std::memcpy(network.bytes.data(), &v6, 16);
  } else {
    throw std::invalid_argument("\"" + printable(text) + "\" is not a network such as 10.0.0.0/8 or 2001:db8::/32");
  }
  std::uint64_t bits = width;
  if (slash != std::string::npos) {
    const auto number = parse_number(std::string_view(text).substr(slash + 1));
    if (!number || *number > width) {
      throw std::invalid_argument("\"" + printable(text) + "\": the prefix is a number from 0 to " +
                                  std::to_string(width));
    }
    bits = *number;
  }
  network.bits = static_cast<unsigned>(bits) + (128 - width);
  networks_.push_back(network);
}

bool Networks::contains(const sockaddr_storage& address) const {
  Bytes16 bytes{};
  if (address.ss_family == AF_INET) {
    bytes = mapped(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  } else if (address.ss_family == AF_INET6) {
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, 16);
  } else {
    return false;
  }
  for (const auto& network : networks_) {
    if (matches(bytes, network.bytes, network.bits)) return true;
  }
  return false;
}

}  // namespace vmail
