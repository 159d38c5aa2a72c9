#include "shared/password/scheme.h"

#include <string>

#include "tests/support/catch.h"

using namespace vmail::password;

namespace {

const std::string kSha512 =
    "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
const std::string kSha512Digest = kSha512.substr(kSha512.size() - 86);
const std::string kSha256 = "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.";
const std::string kBcrypt = "$2y$05$mSNUkO.Mrwh7ddgUExy8eOJtv0AuaQrdcGAMCu24Q/8BD3hA8B/Ja";
const std::string kYescrypt = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0";

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
    CHECK(one.stored.ends_with(parsed.hash->text));
    CHECK(parsed.hash->text.front() == '$');
    CHECK(parsed.hash->text.ends_with(parsed.hash->digest));
  }
}

TEST_CASE("what cannot be verified says why, and quotes nothing of it") {
  const struct {
    std::string stored;
    const char* why;
  } cases[] = {
      {"", "no password hash"},
      {"secret", "plain password"},
      {"{PLAIN}secret", "{PLAIN} is not known"},
      {"{SSHA512}c2VjcmV0", "{SSHA512} is not known"},
      {"{hunter2 is my password!}", "name of its scheme"},
      {"{SHA512-CRYPT" + kSha512, "no '}'"},
      {"{SHA512-CRYPT}" + kSha256, "not of the scheme"},
      {"{SHA256-CRYPT}" + kSha512, "not of the scheme"},
      {"{BLF-CRYPT}" + kSha512, "not of the scheme"},
      {"{CRYPT}secret", "not a hash of a known scheme"},
      {"$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "not a hash of a known scheme"},
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
  for (const auto& whole : {kSha512, kSha256, kBcrypt, kYescrypt, "{SHA512-CRYPT}" + kSha512}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      CAPTURE(cut);
      CHECK_FALSE(parse_hash(cut, Limits{}).hash);
    }
  }
}
