#include "shared/password/sha512_crypt.h"

#include <vector>

#include "shared/password/password.h"
#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::password;

namespace {

// Every engine that is there.
std::vector<std::unique_ptr<Sha512Engine>> engines() {
  std::vector<std::unique_ptr<Sha512Engine>> all;
  all.push_back(make_openssl_engine());
  for (auto* const make : {make_avx2_engine, make_multi_buffer_engine}) {
    if (auto engine = make()) all.push_back(std::move(engine));
  }
  return all;
}

std::string password_of(std::size_t length) {
  std::string password;
  for (std::size_t i = 0; i < length; ++i) password += static_cast<char>(255 - (i + length) % 255);
  return password;
}

}  // namespace

TEST_CASE("Drepper's vectors, by each engine") {
  struct Vector {
    const char* password;
    const char* salt;
    std::uint64_t rounds;
    const char* digest;
  };
  const Vector vectors[] = {
      {"Hello world!", "saltstring", 5000,
       "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
      {"Hello world!", "saltstringsaltst", 10000,
       "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."},
      {"This is just a test", "toolongsaltstrin", 5000,
       "lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0"},
      {"a very much longer text to encrypt.  This one even stretches over morethan one line.", "anotherlongsalts", 1400,
       "POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1"},
      {"a short string", "asaltof16chars..", 123456,
       "BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1"},
  };
  for (const auto& engine : engines()) {
    CAPTURE(engine->name());
    for (const auto& vector : vectors) {
      Sha512Crypt hash(Secret(vector.password), vector.salt, vector.rounds);
      Sha512Crypt* const alone[] = {&hash};
      engine->advance(alone, vector.rounds + 5);
      REQUIRE(hash.done());
      CHECK(hash.text().text() == vector.digest);
      CHECK(hash.is(vector.digest));
      CHECK_FALSE(hash.is(std::string(vector.digest).substr(1)));
      CHECK_FALSE(hash.is(std::string(86, '.')));
    }
  }
}

TEST_CASE("each engine agrees with libxcrypt") {
  for (const auto& engine : engines()) {
    CAPTURE(engine->name());
    CHECK(agrees_with_libxcrypt(*engine));
  }
}

// The self-test leaves lengths out to be quick; here there are all.
TEST_CASE("the engines agree with OpenSSL's for each length of password and salt") {
  const auto openssl = make_openssl_engine();
  for (const auto& engine : engines()) {
    CAPTURE(engine->name());
    for (std::size_t first = 0; first <= 256; first += engine->width()) {
      std::vector<std::unique_ptr<Sha512Crypt>> ours, theirs;
      std::vector<Sha512Crypt*> side_by_side, one_by_one;
      for (std::size_t length = first; length < first + engine->width(); ++length) {
        const Secret password(password_of(length));
        const std::string salt = std::string("./abcdefghijklmnopq").substr(0, length % 17);
        for (auto* all : {&ours, &theirs})
          all->push_back(std::make_unique<Sha512Crypt>(password, salt, 90 + length % 5));
        side_by_side.push_back(ours.back().get());
        one_by_one.push_back(theirs.back().get());
      }
      engine->advance(side_by_side, 1000);
      openssl->advance(one_by_one, 1000);
      for (std::size_t i = 0; i < ours.size(); ++i) {
        REQUIRE(ours[i]->done());
        CHECK(ours[i]->text().text() == theirs[i]->text().text());
      }
    }
  }
}

TEST_CASE("an engine may go on where another has paused, and wipe in between") {
  for (const auto& engine : engines()) {
    CAPTURE(engine->name());
    const Secret password("a password of some length");
    Sha512Crypt whole(password, "salt", 1000), parts(password, "salt", 1000);
    const auto openssl = make_openssl_engine();
    Sha512Crypt* const of_whole[] = {&whole};
    Sha512Crypt* const of_parts[] = {&parts};
    openssl->advance(of_whole, 1000);
    engine->advance(of_parts, 1);
    openssl->advance(of_parts, 300);
    engine->forget();
    engine->advance(of_parts, 698);
    CHECK_FALSE(parts.done());
    engine->advance(of_parts, 1);
    REQUIRE(parts.done());
    CHECK(parts.text().text() == whole.text().text());
  }
}

TEST_CASE("which hashes are for the engines") {
  const auto takes = [](const std::string& stored) {
    const auto parsed = parse_hash(stored, Limits{});
    REQUIRE(parsed.hash.has_value());
    return takes_sha512_engine(*parsed.hash);
  };
  const std::string digest(86, '.');
  CHECK(takes("$6$abcdefgh$" + digest));
  CHECK(takes("$6$rounds=1000$$" + digest));
  CHECK_FALSE(takes("$6$ab:cd$" + digest));  // which libxcrypt refuses
  CHECK_FALSE(takes("$5$abcdefgh$" + std::string(43, '.')));
}

TEST_CASE("what a thread gets agrees with libxcrypt") {
  const auto engines = make_sha512_engines();
  REQUIRE(engines.one);
  CHECK(engines.one->width() == 1);
  if (engines.several) CHECK(engines.several->width() > 1);
}
