#include "shared/base/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <stdexcept>
#include <string>

#include "tests/support/catch.h"

using vmail::Networks;

namespace {

sockaddr_storage address(const std::string& text) {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
  } else {
    REQUIRE(::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1);
    v6.sin6_family = AF_INET6;
  }
  return storage;
}

}  // namespace

TEST_CASE("addresses are in networks or not") {
  const struct {
    const char* network;
    const char* address;
    bool in;
  } cases[] = {
      {"10.0.0.0/8", "10.255.1.2", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"192.0.2.0/25", "192.0.2.127", true},
      {"192.0.2.0/25", "192.0.2.128", false},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7", "192.0.2.8", false},
      {"192.0.2.7/32", "192.0.2.7", true},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/32", "2001:db9::1", false},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::1", "::1", true},
      {"::/0", "2001:db8::1", true},
      // A socket that takes both families shows IPv4 peers in this form.
      {"10.0.0.0/8", "::ffff:10.1.2.3", true},
      // The host's part of a network does not matter.
      {"10.1.2.3/8", "10.9.9.9", true},
  };
  for (const auto& test : cases) {
    CAPTURE(test.network, test.address);
    CHECK(Networks({test.network}).contains(address(test.address)) == test.in);
  }
}

TEST_CASE("no network means loopback") {
  const Networks networks(std::vector<std::string>{});
  CHECK(networks.is_loopback_only());
  CHECK(networks.contains(address("127.0.0.1")));
  CHECK(networks.contains(address("127.1.2.3")));
  CHECK(networks.contains(address("::1")));
  CHECK_FALSE(networks.contains(address("10.0.0.1")));
  CHECK_FALSE(networks.contains(address("::2")));
  sockaddr_storage other{};
  other.ss_family = AF_UNIX;
  CHECK_FALSE(networks.contains(other));
  CHECK_FALSE(Networks({"127.0.0.0/8"}).is_loopback_only());
}

TEST_CASE("what is no network is named") {
  for (const std::string bad : {"", "localhost", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8",
                                "2001:db8::/129", "/8", "10.0.0.0/x"}) {
    CAPTURE(bad);
    try {
      Networks networks(std::vector<std::string>{bad});
      FAIL_CHECK("taken");
    } catch (const std::invalid_argument& error) {
      CHECK(std::string(error.what()).find('"' + bad + '"') == 0);
    }
  }
}
