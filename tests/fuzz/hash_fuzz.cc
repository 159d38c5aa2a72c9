// The parser of stored hashes. What it accepts is within the limits and has its parts; cheap ones are computed as well,
// SHA512-CRYPT by the engines too.
#include <string>

#include "shared/password/password.h"
#include "shared/password/sha512_crypt.h"
#include "tests/fuzz/fuzz.h"

using vmail::Secret;
using vmail::fuzz::Reach;
using vmail::fuzz::require;
using namespace vmail::password;

static Reach reached_sha512("SHA512-CRYPT");
static Reach reached_sha256("SHA256-CRYPT");
static Reach reached_bcrypt("bcrypt");
static Reach reached_yescrypt("yescrypt");
static Reach reached_md5_crypt("MD5-CRYPT");
static Reach reached_argon2("Argon2");
static Reach reached_pbkdf2("PBKDF2");
static Reach reached_scram("SCRAM-SHA-256");
static Reach reached_digest("a digest");
static Reach reached_plain_text("a plain password");
static Reach reached_refused("a hash that is refused");
static Reach reached_weak("a hash that is refused as weak");
static Reach reached_match("a hash that the password matches");

// Low, so that the fuzzer's time goes into the parser.
static Limits low_limits() {
  Limits limits;
  limits.max_rounds = 5000;
  limits.max_bcrypt_cost = 4;
  limits.max_memory = 1u << 20;
  limits.max_passes = 2;
  limits.allow_weak = true;
  return limits;
}

static Reach& reach_of(Scheme scheme) {
  switch (scheme) {
    case Scheme::Sha512Crypt:
      return reached_sha512;
    case Scheme::Sha256Crypt:
      return reached_sha256;
    case Scheme::Bcrypt:
      return reached_bcrypt;
    case Scheme::Yescrypt:
      return reached_yescrypt;
    case Scheme::Md5Crypt:
      return reached_md5_crypt;
    case Scheme::Argon2i:
    case Scheme::Argon2id:
      return reached_argon2;
    case Scheme::Pbkdf2:
      return reached_pbkdf2;
    case Scheme::ScramSha256:
      return reached_scram;
    case Scheme::Plain:
      return reached_plain_text;
    default:
      return reached_digest;
  }
}

// libxcrypt and the engine are of one mind.
static void compare_engine(const StoredHash& hash, Verdict verdict) {
  if (!takes_sha512_engine(hash)) return;
  const auto engine = make_openssl_engine();
  Sha512Crypt ours(Secret("secret"), hash.salt, hash.cost);
  Sha512Crypt* const alone[] = {&ours};
  engine->advance(alone, hash.cost);
  require(ours.done() && ours.is(hash.digest.view()) == (verdict == Verdict::Match),
          "the engine agrees with libxcrypt");
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string stored(vmail::fuzz::view(data, size));
  const Limits limits = low_limits();
  const auto parsed = parse_hash(stored, limits);
  if (!parsed.hash) {
    reached_refused.hit();
    require(!parsed.why_not.empty() && parsed.why_not.size() < 200, "a refusal says why, briefly");
    require(verify(Secret("secret"), stored, limits).verdict == Verdict::BadData, "and nothing is computed");
    require(with_scheme(stored, limits).empty(), "and handed out");
    require(!needs_rehash(stored, Scheme::Sha512Crypt, {}, limits), "and made again");
    return 0;
  }
  const StoredHash& hash = *parsed.hash;
  reach_of(hash.scheme).hit();
  require(hash.cost <= limits.max_rounds && hash.memory <= limits.max_memory, "what is taken is within the limits");
  require(!hash.digest.empty() && !hash.text.empty(), "and has something to compare with");
  Limits strict = limits;
  strict.allow_weak = false;
  if (!parse_hash(stored, strict).hash) reached_weak.hit();

  const auto again = parse_hash(with_scheme(stored, limits).view(), limits);
  require(again.hash && again.hash->scheme == hash.scheme && again.hash->text.view() == hash.text.view(),
          "its Dovecot form is the same hash");
  const Verdict verdict = verify(Secret("secret"), stored, limits).verdict;
  if (verdict == Verdict::Match) reached_match.hit();
  compare_engine(hash, verdict);
  return 0;
}
