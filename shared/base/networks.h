// Networks in CIDR form, for the admission of TCP peers.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace vmail {

class Networks {
 public:
  // Throws std::invalid_argument: which text is no network, and why. An empty list admits loopback alone.
  explicit Networks(const std::vector<std::string>& texts);
  bool contains(const sockaddr_storage& address) const;
  bool is_loopback_only() const { return loopback_only_; }

 private:
  struct Network {
    std::array<std::uint8_t, 16> bytes;  // IPv4 as ::ffff:a.b.c.d
    unsigned bits;
  };
  void add(const std::string& text);

  std::vector<Network> networks_;
  bool loopback_only_ = false;
};

}  // namespace vmail
