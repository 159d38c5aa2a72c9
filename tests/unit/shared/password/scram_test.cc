#include "shared/password/scram.h"

#include <stdexcept>

#include "shared/base/base64.h"
#include "shared/password/password.h"
#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::password;

// Password, salt and iterations of the exchange in RFC 7677 section 3; the keys by Python's hashlib and hmac.
TEST_CASE("the keys of the RFC's example") {
  const auto salt = base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==");
  REQUIRE(salt);
  const auto keys = scram_sha256_keys(Secret("pencil"), *salt, 4096);
  CHECK(base64_encode(keys.stored_key.view()) == "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
  CHECK(base64_encode(keys.server_key.view()) == "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

TEST_CASE("new keys read back, and are those of the password") {
  const std::string text = make_scram_sha256(Secret("secret"));
  CHECK(text.substr(0, 5) == "4096,");
  CHECK(text != make_scram_sha256(Secret("secret")));
  const auto keys = parse_scram_sha256(text);
  REQUIRE(keys);
  const auto again = scram_sha256_keys(Secret("secret"), keys->salt, keys->iterations);
  CHECK(keys->salt.size() == 16);
  CHECK(again.stored_key.view() == keys->stored_key.view());
  CHECK(again.server_key.view() == keys->server_key.view());
  CHECK(verify(Secret("secret"), "{SCRAM-SHA-256}" + text, Limits{}).verdict == Verdict::Match);
  CHECK(verify(Secret("wrong"), "{SCRAM-SHA-256}" + text, Limits{}).verdict == Verdict::Mismatch);
  CHECK(make_scram_sha256(Secret("secret"), 10000).substr(0, 6) == "10000,");

  CHECK_THROWS_AS(make_scram_sha256(Secret("secret"), 4095), std::invalid_argument);
  CHECK_THROWS_AS(make_scram_sha256(Secret("")), std::invalid_argument);
}

TEST_CASE("what are no keys") {
  const std::string salt = "W2qHGvP6FF2eFNXm8irIWw==", key = "5Ue+d3CFlm7YlTnsDaAaTji3htwerCD2dcinOwXqMGw=";
  CHECK(parse_scram_sha256("4096," + salt + ',' + key + ',' + key));
  for (const auto& text : {
           std::string(),
           std::string(",,,"),
           "4096," + salt + ',' + key,
           "4096," + salt + ',' + key + ',' + key + ',',
           "4095," + salt + ',' + key + ',' + key,
           "1000001," + salt + ',' + key + ',' + key,
           "99999999999999999999," + salt + ',' + key + ',' + key,
           "4096,," + key + ',' + key,
           "4096,x," + key + ',' + key,
           "4096," + salt + ',' + salt + ',' + key,
           "4096," + salt + ',' + key + ',' + key.substr(1),
       }) {
    CAPTURE(text);
    CHECK_FALSE(parse_scram_sha256(text));
  }
  CHECK_FALSE(parse_scram_sha256("10001," + salt + ',' + key + ',' + key, 10000));
}
