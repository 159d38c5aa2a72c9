#include "shared/password/scheme.h"

#include <string>
#include <tuple>

#include "tests/support/catch.h"

using namespace vmail::password;

namespace {

const std::string kSha512 =
    "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
const std::string kSha512Digest = kSha512.substr(kSha512.size() - 86);
const std::string kSha256 = "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.";
const std::string kBcrypt = "$2y$05$mSNUkO.Mrwh7ddgUExy8eOJtv0AuaQrdcGAMCu24Q/8BD3hA8B/Ja";
const std::string kYescrypt = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0";
const std::string kArgon2 =
    "$argon2id$v=19$m=65536,t=3,p=1$sbpC6h3OLFXaQ6ZPpKQ3Wg$c6LMHvMO3m6pFgQIeqmFdiel9jbEL6IgqjbMxeAZwBY";
const std::string kScram =
    "4096,W2qHGvP6FF2eFNXm8irIWw==,5Ue+d3CFlm7YlTnsDaAaTji3htwerCD2dcinOwXqMGw=,"
    "2UooCX9RRuhveMvHSDBvW3ith1SBRMZFh4uHFNhF0sU=";

}  // namespace

TEST_CASE("a stored hash is told by its prefix or its scheme") {
  const struct {
    std::string stored;
    Scheme scheme;
  } cases[] = {
      {kSha512, Scheme::Sha512Crypt},
      {"{SHA512-CRYPT}" + kSha512, Scheme::Sha512Crypt},
      {"{sha512-crypt}" + kSha512, Scheme::Sha512Crypt},
      {"{CRYPT}" + kSha512, Scheme::Sha512Crypt},
      {"{crypt}" + kSha512, Scheme::Sha512Crypt},
      {kSha256, Scheme::Sha256Crypt},
      {"{SHA256-CRYPT}" + kSha256, Scheme::Sha256Crypt},
      {kBcrypt, Scheme::Bcrypt},
      {"{BLF-CRYPT}" + kBcrypt, Scheme::Bcrypt},
      {"$2a" + kBcrypt.substr(3), Scheme::Bcrypt},
      {"$2b" + kBcrypt.substr(3), Scheme::Bcrypt},
      {kYescrypt, Scheme::Yescrypt},
      {"{CRYPT}" + kYescrypt, Scheme::Yescrypt},
      {"$6$rounds=1000$abcdefgh$" + kSha512Digest, Scheme::Sha512Crypt},
      {"$6$rounds=1000000$abcdefgh$" + kSha512Digest, Scheme::Sha512Crypt},
      {"$6$$" + kSha512Digest, Scheme::Sha512Crypt},  // an empty salt is one
  };
  for (const auto& one : cases) {
    CAPTURE(one.stored);
    const auto parsed = parse_hash(one.stored, Limits{});
    INFO(parsed.why_not);
    REQUIRE(parsed.hash.has_value());
    CHECK(parsed.hash->scheme == one.scheme);
    CHECK(parsed.why_not.empty());
    CHECK(one.stored.ends_with(parsed.hash->text.view()));
    CHECK(parsed.hash->text.view().front() == '$');
    CHECK(parsed.hash->text.view().ends_with(parsed.hash->digest.view()));
  }
}

TEST_CASE("what cannot be verified says why, and quotes nothing of it") {
  const struct {
    std::string stored;
    const char* why;
  } cases[] = {
      {"", "no password hash"},
      {"secret", "plain password"},
      {"{NTLM}secret", "{NTLM} is not known"},
      {"{SHA512-CRYPT.b32}secret", "{SHA512-CRYPT.b32} is not known"},
      {"{PLAIN}secret", "{PLAIN}, which is weak"},
      {"{clear}secret", "{CLEAR}, which is weak"},
      {"{SMD5}mhourJW5oKwyIeJl9mrAREuYoYE=", "{SMD5}, which is weak"},
      {"{SSHA512}c2VjcmV0", "6 bytes in the place of 64 and a salt"},
      {"{SSHA512}c2VjcmV", "not base64"},
      {"{SSHA512.hex}c2VjcmV0", "not hexadecimal"},
      {"{SHA256}c2VjcmV0", "6 bytes in the place of 32"},
      {"{SHA256}" + std::string(63, 'a'), "not base64"},
      {"{PBKDF2}$1$92MQM7s2IAuluMos$5000$7f42577380a74e04fbbbfcfaa774674b1bccc3", "40 hexadecimal"},
      {"{PBKDF2}$1$92MQM7s2IAuluMos$1000001$7f42577380a74e04fbbbfcfaa774674b1bccc365",
       "more than passwords.max_rounds"},
      {"{PBKDF2}$1$92MQM7s2IAuluMos$0$7f42577380a74e04fbbbfcfaa774674b1bccc365", "number from 1 on"},
      {"{PBKDF2}$2$x", "of the form"},
      {"{SCRAM-SHA-256}" + kScram.substr(0, 100), "of the form"},
      {"{SCRAM-SHA-256}1000001" + kScram.substr(4), "of the form"},
      {kArgon2.substr(0, 60), "cut off"},
      {"$argon2id$v=18$m=65536,t=3,p=1$sbpC6h3OLFXaQ6ZPpKQ3Wg$x", "a version of Argon2"},
      {"$argon2id$v=19$m=65537,t=3,p=1$sbpC6h3OLFXaQ6ZPpKQ3Wg$x", "more memory than the 64 MiB"},
      {"$argon2id$v=19$m=65536,t=17,p=1$sbpC6h3OLFXaQ6ZPpKQ3Wg$x", "17 passes"},
      {"$argon2id$v=19$m=65536,t=3,p=0$sbpC6h3OLFXaQ6ZPpKQ3Wg$x", "none that Argon2 has"},
      {"$argon2id$v=19$m=7,t=3,p=1$sbpC6h3OLFXaQ6ZPpKQ3Wg$x", "none that Argon2 has"},
      {"$argon2id$v=19$m=65536,t=3$sbpC6h3OLFXaQ6ZPpKQ3Wg$x", "cannot be read"},
      {"$argon2id$", "cannot be read"},
      {"{hunter2 is my password!}", "name of its scheme"},
      {"{SHA512-CRYPT" + kSha512, "no '}'"},
      {"{SHA512-CRYPT}" + kSha256, "not of the scheme"},
      {"{SHA256-CRYPT}" + kSha512, "not of the scheme"},
      {"{BLF-CRYPT}" + kSha512, "not of the scheme"},
      {"{CRYPT}secret", "not a hash of a known scheme"},
      {"$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "{MD5-CRYPT}, which is weak"},
      {"$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$uE5FcoxTz78xZpMZkpTmj/0MogyeNUSLIjdCxpQjz.8", "not a hash of a known"},
      {kSha512 + std::string(1, '\0'), "NUL"},
      {std::string(513, 'x'), "too long"},
      // cut off, as by a column of 100 characters that is not strict
      {kSha512.substr(0, 97), "85 of 86"},
      {kSha512.substr(0, 11), "within its salt"},
      {"$6$", "within its salt"},
      {kSha256.substr(0, 40), "28 of 43"},
      {kSha512 + "x", "do not belong"},
      {kSha512.substr(0, 50) + "!" + kSha512.substr(51), "do not belong"},
      {kBcrypt.substr(0, 59), "30 of 31"},
      {kBcrypt.substr(0, 20), "0 of 31"},
      {kBcrypt + "x", "do not belong"},
      {"$2y$5$mSNUkO.Mrwh7ddgUExy8eOJtv0AuaQrdcGAMCu24Q/8BD3hA8B/Jaa", "cost"},
      {"$2y$", "cost"},
      {"$2y$03" + kBcrypt.substr(6), "cost"},
      {kYescrypt.substr(0, 60), "of 43"},
      {"$y$j9T$F5Jx5fExrKu", "within its salt"},
      {"$y$j9", "parameters"},
      {"$y$", "flavour"},
      {"$y$.9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0", "flavour"},
      {"$y$j9T/.$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0", "beyond N and r"},
      // more than a login may cost
      {"$6$rounds=1000001$abcdefgh$" + kSha512Digest, "more than passwords.max_rounds"},
      {"$6$rounds=999999999$abcdefgh$" + kSha512Digest, "more than passwords.max_rounds"},
      {"$6$rounds=99999999999999999999999$abcdefgh$" + kSha512Digest, "not a number"},
      {"$6$rounds=999$abcdefgh$" + kSha512Digest, "not a number from 1000"},
      {"$6$rounds=05000$abcdefgh$" + kSha512Digest, "not a number from 1000"},
      {"$6$rounds=$abcdefgh$" + kSha512Digest, "not a number"},
      {"$6$rounds=5000", "not a number"},
      {"$2y$15" + kBcrypt.substr(6), "cost 15"},
      {"$2y$31" + kBcrypt.substr(6), "cost 31"},
      {"$y$jCT$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0", "64 MiB"},
      {"$y$jzzzz$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0", "yescrypt"},
      {"$y$j9zzzzzzz$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0", "yescrypt"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.stored);
    const auto parsed = parse_hash(one.stored, Limits{});
    REQUIRE_FALSE(parsed.hash.has_value());
    CAPTURE(parsed.why_not);
    CHECK(parsed.why_not.find(one.why) != std::string::npos);
    CHECK(parsed.why_not.find("secret") == std::string::npos);
    CHECK(parsed.why_not.find("hunter2") == std::string::npos);
    CHECK(parsed.why_not.find("abcdefgh") == std::string::npos);
  }
}

TEST_CASE("the limits are the caller's") {
  Limits limits;
  limits.max_rounds = 4000;
  CHECK_FALSE(parse_hash("$6$rounds=4001$abcdefgh$" + kSha512Digest, limits).hash);
  CHECK(parse_hash("$6$rounds=4000$abcdefgh$" + kSha512Digest, limits).hash);
  limits.max_memory = 128u << 20;
  CHECK(parse_hash("$y$jCT$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0", limits).hash);
  limits.max_bcrypt_cost = 4;
  CHECK_FALSE(parse_hash(kBcrypt, limits).hash);
}

TEST_CASE("no prefix of a good hash is one, and none is read past its end") {
  for (const auto& whole :
       {kSha512, kSha256, kBcrypt, kYescrypt, "{SHA512-CRYPT}" + kSha512, "{SCRAM-SHA-256}" + kScram}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      CAPTURE(cut);
      CHECK_FALSE(parse_hash(cut, Limits{}).hash);
    }
  }
}

TEST_CASE("what an engine needs of a hash") {
  const auto cost = [](const std::string& stored) {
    const auto parsed = parse_hash(stored, Limits{});
    REQUIRE(parsed.hash.has_value());
    return std::make_tuple(parsed.hash->cost, parsed.hash->memory, parsed.hash->salt);
  };
  using Cost = std::tuple<std::uint64_t, std::uint64_t, std::string>;
  CHECK(cost(kSha512) == Cost(5000, 0, "abcdefgh"));
  CHECK(cost("$6$rounds=7000$abcdefghijklmnopqrst$" + kSha512Digest) == Cost(7000, 0, "abcdefghijklmnop"));
  CHECK(std::get<0>(cost(kBcrypt)) == 5);
  CHECK(std::get<1>(cost(kYescrypt)) == 16u << 20);
  CHECK(std::get<0>(cost(kArgon2)) == 3);
  CHECK(std::get<1>(cost(kArgon2)) == 64u << 20);
  CHECK(std::get<0>(cost("{SCRAM-SHA-256}" + kScram)) == 4096);
  CHECK(cost("{SSHA}7Md+IVo/LrjZxd2kvN7xOXjiy8F5lZL+") == Cost(1, 0, "\x79\x95\x92\xfe"));
}
