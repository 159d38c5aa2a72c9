// Networks in CIDR form, for the admission of TCP peers and of logins.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmail {

using IpAddress = std::array<std::uint8_t, 16>;  // IPv4 as ::ffff:a.b.c.d
struct IpNetwork {
  IpAddress bytes;
  unsigned bits;  // of the sixteen bytes
};
// Without brackets and port; the zone of a link-local address ("%eth0") is passed over.
std::optional<IpAddress> parse_ip(std::string_view text);
bool is_ipv4(const IpAddress& address);
// As it is usually written, an IPv4 address without its prefix.
std::string ip_text(const IpAddress& address);

// In words, to stand behind the text itself; empty: it is one.
std::string why_no_network(const std::string& text);

class Networks {
 public:
  // Throws std::invalid_argument: which text is no network, and why. An empty list admits loopback alone.
  explicit Networks(const std::vector<std::string>& texts);
  bool contains(const sockaddr_storage& address) const;
  bool contains(const IpAddress& address) const;
  bool is_loopback_only() const { return loopback_only_; }

 private:
  void add(const std::string& text);

  std::vector<IpNetwork> networks_;
  bool loopback_only_ = false;
};

}  // namespace vmail
