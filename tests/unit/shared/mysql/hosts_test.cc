#include "shared/mysql/hosts.h"

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace std::chrono_literals;
using vmail::mysql::Host;
using vmail::mysql::Hosts;
using vmail::test::ManualClock;

namespace {

std::vector<Host> named(std::initializer_list<const char*> names) {
  std::vector<Host> hosts;
  for (const char* name : names) hosts.push_back(vmail::mysql::parse_host(name));
  return hosts;
}

// What the next worker would be told to try first; -1 for nothing.
int first(Hosts& hosts) {
  const auto picked = hosts.pick(std::vector<bool>(hosts.size(), false));
  return picked ? static_cast<int>(*picked) : -1;
}

}  // namespace

TEST_CASE("hosts are tried in their order") {
  ManualClock clock;
  Hosts hosts(clock, named({"a", "b", "c"}), "user", 1s, 30s);
  CHECK(first(hosts) == 0);
  CHECK(hosts.pick({true, false, false}) == std::optional<std::size_t>(1));
  CHECK(hosts.pick({true, true, false}) == std::optional<std::size_t>(2));
  CHECK_FALSE(hosts.pick({true, true, true}));
}

TEST_CASE("a host that failed is left alone while another works, for longer each time") {
  ManualClock clock;
  Hosts hosts(clock, named({"a", "b"}), "user", 1s, 8s);
  // The jitter is a quarter either way: below three quarters it is never tried, above five always.
  for (const auto pause : {1000ms, 2000ms, 4000ms, 8000ms, 8000ms}) {
    CAPTURE(pause.count());
    hosts.failed(0, "refused");
    CHECK(first(hosts) == 1);
    clock.advance(pause * 74 / 100);
    CHECK(first(hosts) == 1);
    clock.advance(pause * 52 / 100);
    CHECK(first(hosts) == 0);
    // One worker at a time: the next keeps to the other host.
    CHECK(first(hosts) == 1);
    clock.advance(1300ms);
  }
  hosts.works(0);
  CHECK(first(hosts) == 0);
  hosts.failed(0, "refused");
  clock.advance(1260ms);
  CHECK(first(hosts) == 0);
}

TEST_CASE("the same failure, seen by several workers, counts once") {
  ManualClock clock;
  Hosts hosts(clock, named({"a", "b"}), "user", 1s, 30s);
  for (int worker = 0; worker < 8; ++worker) hosts.failed(0, "refused");
  clock.advance(1260ms);
  CHECK(first(hosts) == 0);
}

TEST_CASE("when all are down, one worker at a time tries one, however long the pauses have become") {
  ManualClock clock;
  Hosts hosts(clock, named({"a", "b"}), "user", 1s, 600s);
  for (int i = 0; i < 10; ++i) {
    hosts.failed(0, "refused");
    hosts.failed(1, "refused as well");
    CHECK(first(hosts) == -1);
    clock.advance(1300ms);
    const int one = first(hosts);
    const int other = first(hosts);
    CHECK(one + other == 1);
    CHECK(one * other == 0);
    CHECK(first(hosts) == -1);
    clock.advance(1300ms);
  }
  CHECK(hosts.last_failure() == "refused as well");
}
