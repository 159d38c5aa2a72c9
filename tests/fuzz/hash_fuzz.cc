// The parser of stored hashes. What it accepts is within the limits and has its parts inside the text; cheap ones are
// computed as well.
#include <string>

#include "shared/password/password.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::password;

static vmail::fuzz::Reach reached_sha512("SHA512-CRYPT");
static vmail::fuzz::Reach reached_sha256("SHA256-CRYPT");
static vmail::fuzz::Reach reached_bcrypt("bcrypt");
static vmail::fuzz::Reach reached_yescrypt("yescrypt");
static vmail::fuzz::Reach reached_refused("a hash that is refused");
static vmail::fuzz::Reach reached_match("a hash that the password matches");

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string stored(vmail::fuzz::view(data, size));
  // Low, so that the fuzzer's time goes into the parser.
  Limits limits;
  limits.max_rounds = 2000;
  limits.max_bcrypt_cost = 4;
  limits.max_memory = 1u << 20;
  const auto parsed = parse_hash(stored, limits);
  if (!parsed.hash) {
    reached_refused.hit();
    require(!parsed.why_not.empty() && parsed.why_not.size() < 200, "a refusal says why, briefly");
    require(verify(vmail::Secret("secret"), stored, limits).verdict == Verdict::BadData, "and nothing is computed");
    require(with_scheme(stored, limits).empty(), "and handed out");
    return 0;
  }
  const std::string_view text = parsed.hash->text, digest = parsed.hash->digest;
  require(stored.data() <= text.data() && text.data() + text.size() == stored.data() + stored.size(), "it is the tail");
  require(text.ends_with(digest) && digest.size() >= 31, "and ends in its digest");
  switch (parsed.hash->scheme) {
    case Scheme::Sha512Crypt:
      reached_sha512.hit();
      break;
    case Scheme::Sha256Crypt:
      reached_sha256.hit();
      break;
    case Scheme::Bcrypt:
      reached_bcrypt.hit();
      break;
    case Scheme::Yescrypt:
      reached_yescrypt.hit();
  }
  const auto again = parse_hash(with_scheme(stored, limits).view(), limits);
  require(again.hash && again.hash->scheme == parsed.hash->scheme, "its Dovecot form is the same hash");
  if (verify(vmail::Secret("secret"), stored, limits).verdict == Verdict::Match) reached_match.hit();
  return 0;
}
