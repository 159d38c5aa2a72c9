#include "dovecot-auth/verified.h"

#include <string>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace std::chrono_literals;
using namespace vmail;
using auth::Verified;

namespace {

struct Fixture {
  test::ManualClock clock;
  Verified verified{60s};
  Secret stored{"$6$salt$hash"}, password{"secret"};

  bool has(const char* user, const char* hash, const char* typed) {
    return verified.has(user, Secret(hash), Secret(typed), clock.now());
  }
};

}  // namespace

TEST_CASE("verified: user, stored hash and password must be the same") {
  Fixture f;
  f.verified.add("u@d.org", f.stored, f.password, f.clock.now());
  CHECK(f.has("u@d.org", "$6$salt$hash", "secret"));
  CHECK_FALSE(f.has("v@d.org", "$6$salt$hash", "secret"));
  CHECK_FALSE(f.has("u@d.org", "$6$salt$hasi", "secret"));
  CHECK_FALSE(f.has("u@d.org", "$6$salt$hash", "secreT"));
  CHECK_FALSE(f.has("u@d.org", "$6$salt$hash", ""));
  // Where one text ends and the next begins counts.
  CHECK_FALSE(f.has("u@d.org", "$6$salt$hashs", "ecret"));
}

TEST_CASE("verified: it ends with its lifetime, and by each that drops it") {
  Fixture f;
  f.verified.add("u@d.org", f.stored, f.password, f.clock.now());
  SECTION("the lifetime") {
    f.clock.advance(59s);
    CHECK(f.has("u@d.org", "$6$salt$hash", "secret"));
    f.clock.advance(1s);
    CHECK_FALSE(f.has("u@d.org", "$6$salt$hash", "secret"));
  }
  SECTION("its user") {
    f.verified.forget("v@d.org");
    CHECK(f.has("u@d.org", "$6$salt$hash", "secret"));
    f.verified.forget("u@d.org");
    CHECK_FALSE(f.has("u@d.org", "$6$salt$hash", "secret"));
  }
  SECTION("all") {
    f.verified.clear();
    CHECK_FALSE(f.has("u@d.org", "$6$salt$hash", "secret"));
  }
}

TEST_CASE("verified: nothing is remembered with a lifetime of zero") {
  Fixture f;
  f.verified.set_lifetime(0s);
  f.verified.add("u@d.org", f.stored, f.password, f.clock.now());
  f.verified.set_lifetime(60s);
  CHECK_FALSE(f.has("u@d.org", "$6$salt$hash", "secret"));
}

TEST_CASE("verified: several passwords of a user are remembered, and many users drive out the oldest") {
  Fixture f;
  for (const char* password : {"one", "two", "three"}) {
    f.verified.add("u@d.org", f.stored, Secret(password), f.clock.now());
  }
  for (const char* password : {"one", "two", "three"}) CHECK(f.has("u@d.org", "$6$salt$hash", password));
  std::size_t there = 0;
  for (std::size_t i = 0; i < 4 * Verified::kEntries; ++i) {
    f.clock.advance(1us);
    f.verified.add("user" + std::to_string(i), f.stored, f.password, f.clock.now());
  }
  CHECK_FALSE(f.has("u@d.org", "$6$salt$hash", "one"));
  for (std::size_t i = 4 * Verified::kEntries - 100; i < 4 * Verified::kEntries; ++i) {
    there += f.has(("user" + std::to_string(i)).c_str(), "$6$salt$hash", "secret") ? 1 : 0;
  }
  CHECK(there == 100);
}
