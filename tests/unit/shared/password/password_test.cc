#include "shared/password/password.h"

#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::password;

namespace {

Verdict verdict(std::string_view password, std::string_view stored, const Limits& limits = {}) {
  return verify(Secret(password), stored, limits).verdict;
}

}  // namespace

// https://www.akkadia.org/drepper/SHA-crypt.txt: its own table for SHA-512, without the row of ten rounds, which
// libxcrypt refuses where the old C library quietly took a thousand.
TEST_CASE("Drepper's published vectors") {
  const struct {
    const char* password;
    const char* stored;
  } cases[] = {
      {"Hello world!",
       "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
      {"Hello world!",
       "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/"
       "YTBmSK6H9qs/y3RnOaw5v."},
      {"This is just a test",
       "$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/"
       "e1JSbq3y6JMxxl8audkUEm0"},
      {"a very much longer text to encrypt.  This one even stretches over morethan one line.",
       "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/"
       "pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8"
       "p4ur1"},
      {"we have a short salt string but not a short password",
       "$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0"},
      {"a short string",
       "$6$rounds=123456$asaltof16chars..$BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu."
       "Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAst"
       "Jeonj1"},
      // and the first two of SHA-256
      {"Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
      {"Hello world!", "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.stored);
    const auto right = verify(Secret(one.password), one.stored, Limits{});
    INFO(right.reason);
    CHECK(right.verdict == Verdict::Match);
    CHECK(verdict(std::string(one.password) + "x", one.stored) == Verdict::Mismatch);
  }
}

TEST_CASE("hashes of other programs") {
  // `openssl passwd`, `doveadm pw`, Python's crypt, mkpasswd's yescrypt; the password is always "secret".
  const char* cases[] = {
      "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
      "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
      "{SHA512-CRYPT}$6$xfblEI6NSifVd44e$t1IbWTvRsoaednMIhz1gqcgNKShtkDtFPAFG/NlwO5RI78ANZ1wkcVZRqA7ka7xj8HWetzCAKu06un"
      "ZMC.B1U1",
      "{BLF-CRYPT}$2y$05$mSNUkO.Mrwh7ddgUExy8eOJtv0AuaQrdcGAMCu24Q/8BD3hA8B/Ja",
      "{SHA256-CRYPT}$5$rounds=6000$Vr6P1pYkqQnHZJwT$EkhUkK.YYp.iRA6bFmv3mDJ68IF85f/2PM96Q5UEt39",
      "$6$rounds=10000$OAgdhVmTagQ61l7r$9U7z4Tb49mm/Rgo3/R9wSo/JTp7a5FzHGAtCRIieekvTL69ma44n1YvWOIBgG6IGx36L9qQw3k4JBzQ"
      "v26TmK.",
      "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0",
      "{CRYPT}$y$j75$F5Jx5fExrKuPp53xLKQ..1$l5YiXCKNY/N9ezall4xjJAFS/wg.kWVcFXfOzyxVn1.",
      // a salt of more than 16 characters, of which crypt(3) takes the first 16
      "$6$abcdefghijklmnopqrstuv$J/"
      "AWykHqo2Tx5UtavGnFc3ytI33la50JpzLTarSWVhkIXK6wOjNwwZjsrIw2UgmrER2EKrSHCeQyAINEEXAk1/",
  };
  for (const auto* stored : cases) {
    CAPTURE(stored);
    CHECK(verdict("secret", stored) == Verdict::Match);
    CHECK(verdict("Secret", stored) == Verdict::Mismatch);
  }
}

TEST_CASE("hashes by doveadm pw in the other schemes of Dovecot") {
  const char* cases[] = {
      "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
      "{SHA1}5en6G6MezRroT3XKqkdPOmY/BfQ=",
      "{sha1}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
      "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
      "{SHA256.HEX}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
      "{SHA256}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
      "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
      "{SSHA}7Md+IVo/LrjZxd2kvN7xOXjiy8F5lZL+",
      "{SSHA.B64}pJ4p9efMW+2rYHKCBJWuxAkpZ4CAPxZF",
      "{SSHA256}inuSZ42C6FxMICgUJM9aTLgsml5WCxZhB1rHBChw2YJxO052",
      "{SSHA512}90lWmNdvJ89qbfCVJ18M4PCRbduH08xofugYtdDJdKf2KeS2Kp2uzycHMOV+7xyMTwK9y/JzikhMfS8VeIFTsbtJ2H4=",
      "{SSHA512.HEX}"
      "841ee2f3530c249baca57ecc2c05cd45ddfa38c888419f7bd7112c3ba798676737c80533d2e2166385f083cb7ff305ccba02687"
      "abd54c61de9e68757c3d2a8089a0c2320",
      "{PBKDF2}$1$92MQM7s2IAuluMos$5000$7f42577380a74e04fbbbfcfaa774674b1bccc365",
      "{SCRAM-SHA-256}4096,W2qHGvP6FF2eFNXm8irIWw==,5Ue+d3CFlm7YlTnsDaAaTji3htwerCD2dcinOwXqMGw=,"
      "2UooCX9RRuhveMvHSDBvW3ith1SBRMZFh4uHFNhF0sU=",
      "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$mLcJEv0g9/DgDmVsGHDyZA$nlv3ruQln3dxzAh4dryUInIq9xzPxSzJPo8/B1ys8SU",
      "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$sbpC6h3OLFXaQ6ZPpKQ3Wg$c6LMHvMO3m6pFgQIeqmFdiel9jbEL6IgqjbMxeAZwBY",
      "{SHA512-CRYPT.B64}"
      "JDYkLzJUUHVsbGhBNjllUm12SiRVSlpRcjJTdTR1QndFVWJ4Rlg0cEhMeHFiZ1BBdXhiRFZkdG51bDNIdGtzUXFZL01GdWUzZF"
      "ZrbUxOVWV2YklEQVVESWNtNFVuWFlQY0RDbzhZWTFTMQ==",
      "{BLF-CRYPT.HEX}"
      "243279243035244e32737231366e31677973327859534336375a33562e636b585a63526457417435755364726b4b3666457939"
      "2e786c596e5933674b",
  };
  for (const auto* stored : cases) {
    CAPTURE(stored);
    CHECK(verdict("secret", stored) == Verdict::Match);
    CHECK(verdict("Secret", stored) == Verdict::Mismatch);
  }
}

TEST_CASE("weak schemes are verified only where they are allowed") {
  Limits limits;
  limits.allow_weak = true;
  const char* cases[] = {
      "{MD5-CRYPT}$1$/Bx1P2.i$rYHI4k7k.J5/x1xEnBm4d0",
      "{MD5}$1$V9mQ4bxj$jbLtuxFoBNlwgWTEhQZWh.",
      "$1$V9mQ4bxj$jbLtuxFoBNlwgWTEhQZWh.",
      "{SMD5}mhourJW5oKwyIeJl9mrAREuYoYE=",
      "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
      "{PLAIN-MD5.B64}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
      "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
      "{PLAIN}secret",
      "{CLEAR}secret",
      "{CLEARTEXT}secret",
      "{PLAIN.b64}c2VjcmV0",
  };
  for (const auto* stored : cases) {
    CAPTURE(stored);
    CHECK(verdict("secret", stored, limits) == Verdict::Match);
    CHECK(verdict("Secret", stored, limits) == Verdict::Mismatch);
    CHECK(verdict("secret", stored) == Verdict::BadData);
  }
}

TEST_CASE("passwords that are not hashed") {
  const std::string stored = make_sha512_crypt(Secret("secret"), 1000);
  CHECK(verdict("secret", stored) == Verdict::Match);
  CHECK(verdict("", stored) == Verdict::Mismatch);
  CHECK(verdict(std::string_view("secret\0", 7), stored) == Verdict::Mismatch);
  CHECK(verdict(std::string_view("secret\0x", 8), stored) == Verdict::Mismatch);
  CHECK(verdict(std::string(100000, 'x'), stored) == Verdict::Mismatch);

  const std::string longest(256, 'x');
  const std::string of_longest = make_sha512_crypt(Secret(longest), 1000);
  CHECK(verdict(longest, of_longest) == Verdict::Match);
  Limits limits;
  limits.max_length = 255;
  CHECK(verdict(longest, of_longest, limits) == Verdict::Mismatch);
}

TEST_CASE("a bad hash is bad for every password, the empty one too") {
  for (const auto* password : {"", "secret"}) {
    const auto result = verify(Secret(password), "{MD5}x", Limits{});
    CHECK(result.verdict == Verdict::BadData);
    CHECK_FALSE(result.reason.empty());
  }
  // Well formed, but libxcrypt takes no such salt.
  const auto result = verify(Secret("secret"), "$6$ab:cd$" + std::string(86, '.'), Limits{});
  CHECK(result.verdict == Verdict::BadData);
}

TEST_CASE("new hashes") {
  const std::string plain = make_sha512_crypt(Secret("secret"), 5000);
  CHECK(plain.size() == 106);  // what the original schema's VARCHAR(106) holds
  CHECK(plain.substr(0, 3) == "$6$");
  CHECK(plain.find("rounds=") == std::string::npos);
  CHECK(verdict("secret", plain) == Verdict::Match);

  const std::string more = make_sha512_crypt(Secret("secret"), 10000);
  CHECK(more.substr(0, 16) == "$6$rounds=10000$");
  CHECK(verdict("secret", more) == Verdict::Match);

  std::set<std::string> salts;
  for (int i = 0; i < 20; ++i) salts.insert(make_sha512_crypt(Secret("secret"), 1000).substr(15, 16));
  CHECK(salts.size() == 20);
  for (const auto& salt : salts) {
    CHECK(salt.find_first_not_of("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == salt.npos);
  }

  CHECK_THROWS_AS(make_sha512_crypt(Secret("secret"), 999), std::invalid_argument);
  CHECK_THROWS_AS(make_sha512_crypt(Secret("secret"), 1000000000), std::invalid_argument);
  CHECK_THROWS_AS(make_sha512_crypt(Secret(""), 5000), std::invalid_argument);
  CHECK_THROWS_AS(make_sha512_crypt(Secret(std::string_view("a\0b", 3)), 5000), std::invalid_argument);
  CHECK_THROWS_AS(make_sha512_crypt(Secret(std::string(512, 'x')), 5000), std::invalid_argument);
}

TEST_CASE("new hashes of each scheme that is made verify, and are not made again") {
  const struct {
    const char* name;
    const char* begin;
  } cases[] = {{"SHA512-CRYPT", "$6$"},
               {"BLF-CRYPT", "{BLF-CRYPT}$2y$10$"},
               {"YESCRYPT", "{CRYPT}$y$j9T$"},
               {"ARGON2ID", "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"}};
  const std::string other = "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=";
  for (const auto& one : cases) {
    CAPTURE(one.name);
    const Scheme scheme = scheme_to_make(one.name);
    const std::string stored = make(Secret("secret"), scheme, {});
    CHECK(stored.starts_with(one.begin));
    CHECK(verdict("secret", stored) == Verdict::Match);
    CHECK(verdict("wrong", stored) == Verdict::Mismatch);
    CHECK(make(Secret("secret"), scheme, {}) != stored);
    CHECK_FALSE(needs_rehash(stored, scheme, {}, {}));
    CHECK(needs_rehash(other, scheme, {}, {}));
    CHECK_THROWS_AS(make(Secret(""), scheme, {}), std::invalid_argument);
    CHECK_THROWS_AS(make(Secret(std::string(512, 'x')), scheme, {}), std::invalid_argument);
  }
  CHECK_THROWS_AS(scheme_to_make("MD5-CRYPT"), std::invalid_argument);
  CHECK_THROWS_AS(make(Secret("secret"), Scheme::Plain, {}), std::invalid_argument);
  CHECK_NOTHROW(make(Secret(std::string(72, 'x')), Scheme::Bcrypt, {}));
  CHECK_THROWS_AS(make(Secret(std::string(73, 'x')), Scheme::Bcrypt, {}), std::invalid_argument);
}

TEST_CASE("what is cheaper than a new hash would be is made again, and what is dearer is not") {
  const std::string sha512 = make_sha512_crypt(Secret("secret"), 6000);
  CHECK(needs_rehash(sha512, Scheme::Sha512Crypt, {6001}, {}));
  CHECK_FALSE(needs_rehash(sha512, Scheme::Sha512Crypt, {5000}, {}));
  const std::string bcrypt = "{BLF-CRYPT}$2y$05$mSNUkO.Mrwh7ddgUExy8eOJtv0AuaQrdcGAMCu24Q/8BD3hA8B/Ja";
  CHECK(needs_rehash(bcrypt, Scheme::Bcrypt, {}, {}));
  CHECK_FALSE(needs_rehash("$2y$12" + bcrypt.substr(17), Scheme::Bcrypt, {}, {}));
  CHECK(needs_rehash("$y$j75$F5Jx5fExrKuPp53xLKQ..1$l5YiXCKNY/N9ezall4xjJAFS/wg.kWVcFXfOzyxVn1.", Scheme::Yescrypt, {},
                     {}));
  CHECK(
      needs_rehash("$argon2id$v=19$m=65536,t=1,p=1$sbpC6h3OLFXaQ6ZPpKQ3Wg$c6LMHvMO3m6pFgQIeqmFdiel9jbEL6IgqjbMxeAZwBY",
                   Scheme::Argon2id, {}, {}));
  CHECK_FALSE(needs_rehash("secret", Scheme::Sha512Crypt, {}, {}));
}

TEST_CASE("the dummy hash asks for the same work and takes no password") {
  const std::string dummy = make_dummy_hash(7000);
  CHECK(dummy.substr(0, 15) == "$6$rounds=7000$");
  CHECK(parse_hash(dummy, Limits{}).hash);
  for (const auto* password : {"", "x", "secret"}) CHECK(verdict(password, dummy) == Verdict::Mismatch);
  CHECK(make_dummy_hash(7000) != dummy);
}

TEST_CASE("a credentials lookup gets the scheme's name in front") {
  const std::string bare = make_sha512_crypt(Secret("secret"), 1000);
  CHECK(with_scheme(bare, {}).text() == "{SHA512-CRYPT}" + bare);
  CHECK(with_scheme("{crypt}" + bare, {}).text() == "{SHA512-CRYPT}" + bare);
  const std::string yescrypt = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0";
  CHECK(with_scheme(yescrypt, {}).text() == "{CRYPT}" + yescrypt);
  CHECK(with_scheme("secret", {}).empty());
  // Whatever it was written in.
  CHECK(with_scheme("{SHA256.HEX}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", {}).text() ==
        "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=");
  CHECK(with_scheme("{ssha}7Md+IVo/LrjZxd2kvN7xOXjiy8F5lZL+", {}).text() == "{SSHA}7Md+IVo/LrjZxd2kvN7xOXjiy8F5lZL+");
  Limits limits;
  limits.allow_weak = true;
  CHECK(with_scheme("{PLAIN-MD5.B64}Xr4ilOzQ4PCOq3aQ0qbuaQ==", limits).text() ==
        "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69");
  CHECK(with_scheme("{CLEAR}secret", limits).text() == "{PLAIN}secret");
}

TEST_CASE("many threads at once") {
  const std::string stored = make_sha512_crypt(Secret("secret"), 1000);
  std::vector<std::thread> threads;
  std::vector<int> right(4, 0);
  for (std::size_t i = 0; i < right.size(); ++i) {
    threads.emplace_back([&stored, &right, i] {
      for (int n = 0; n < 20; ++n) {
        right[i] += verdict("secret", stored) == Verdict::Match && verdict("wrong", stored) == Verdict::Mismatch;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const int count : right) CHECK(count == 20);
}
