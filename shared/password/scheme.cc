#include "shared/password/scheme.h"

#include <array>
#include <utility>

#include "shared/base/text.h"

namespace vmail::password {
namespace {

constexpr std::size_t kMaxStored = 512;
constexpr std::string_view kAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

using WhyNot = std::optional<std::string>;

bool is_digest(std::string_view text) {
  return text.find_first_not_of(kAlphabet) == std::string_view::npos;
}

WhyNot check_digest(std::string_view digest, std::size_t size) {
  if (digest.size() < size) {
    return "the hash is cut off: " + std::to_string(digest.size()) + " of " + std::to_string(size) +
           " characters (is the column wide enough?)";
  }
  if (digest.size() > size || !is_digest(digest)) return "the hash has characters that do not belong to it";
  return std::nullopt;
}

// $6$[rounds=N$]salt$digest (https://www.akkadia.org/drepper/SHA-crypt.txt). libxcrypt cuts a long salt to 16.
WhyNot check_sha_crypt(StoredHash& hash, const Limits& limits, std::size_t digest_size) {
  std::string_view rest = hash.text.substr(3);
  constexpr std::string_view kRounds = "rounds=";
  if (rest.starts_with(kRounds)) {
    rest.remove_prefix(kRounds.size());
    const auto end = rest.find('$');
    const auto rounds = parse_number(rest.substr(0, end));
    if (end == std::string_view::npos || !rounds || *rounds < 1000) return "its rounds= is not a number from 1000 on";
    if (*rounds > limits.max_rounds) {
      return "it asks for " + std::to_string(*rounds) +
             " rounds, more than passwords.max_rounds = " + std::to_string(limits.max_rounds);
    }
    rest.remove_prefix(end + 1);
  }
  const auto end = rest.find('$');
  if (end == std::string_view::npos) return "the hash is cut off within its salt (is the column wide enough?)";
  hash.digest = rest.substr(end + 1);
  return check_digest(hash.digest, digest_size);
}

WhyNot check_sha512_crypt(StoredHash& hash, const Limits& limits) {
  return check_sha_crypt(hash, limits, 86);
}
WhyNot check_sha256_crypt(StoredHash& hash, const Limits& limits) {
  return check_sha_crypt(hash, limits, 43);
}

// $2b$NN$ and 22 characters of salt and 31 of digest without a sign between them (crypt(5)).
WhyNot check_bcrypt(StoredHash& hash, const Limits& limits) {
  constexpr std::size_t kSalt = 7, kDigest = kSalt + 22;
  const std::string_view text = hash.text;
  const auto cost = text.size() > kSalt && text[6] == '$' ? parse_number(text.substr(4, 2)) : std::nullopt;
  if (!cost || *cost < 4) return "its cost is not a number from 04 on";
  if (*cost > limits.max_bcrypt_cost) {
    return "it asks for bcrypt cost " + std::to_string(*cost) + ", more than the " +
           std::to_string(limits.max_bcrypt_cost) + " that are computed";
  }
  hash.digest = text.size() > kDigest ? text.substr(kDigest) : std::string_view();
  if (!is_digest(text.substr(kSalt))) return "the hash has characters that do not belong to it";
  return check_digest(hash.digest, 31);
}

// A number of yescrypt's parameters: one character up to 47, then longer forms (decode64_uint32() of its
// yescrypt-common.c). Takes what it read off `text`.
std::optional<std::uint32_t> decode_parameter(std::string_view& text, std::uint32_t min) {
  const auto take = [&]() -> std::optional<std::uint32_t> {
    const auto value = text.empty() ? std::string_view::npos : kAlphabet.find(text.front());
    if (value == std::string_view::npos) return std::nullopt;
    text.remove_prefix(1);
    return static_cast<std::uint32_t>(value);
  };
  auto c = take();
  if (!c) return std::nullopt;
  std::uint32_t start = 0, end = 47, more = 0, bits = 0;
  std::uint32_t value = min;
  while (*c > end) {
    value += (end + 1 - start) << bits;
    start = end + 1;
    end = start + (62 - end) / 2;
    ++more;
    bits += 6;
  }
  value += (*c - start) << bits;
  for (; more > 0; --more) {
    c = take();
    if (!c) return std::nullopt;
    bits -= 6;
    value += *c << bits;
  }
  return value;
}

// $y$jNr$salt$digest: the flavour that crypt_gensalt(3) makes, memory 128 * r * 2^N. Its optional parameters (more
// threads, more time, a ROM) are made by no crypt(3) and would be another way to be dear.
WhyNot check_yescrypt(StoredHash& hash, const Limits& limits) {
  std::string_view rest = hash.text.substr(3);
  if (!rest.starts_with('j')) return "it is a flavour of yescrypt that crypt(3) does not make";
  rest.remove_prefix(1);
  const auto log_n = decode_parameter(rest, 1);
  const auto r = log_n ? decode_parameter(rest, 1) : std::nullopt;
  if (!r) return "its yescrypt parameters cannot be read";
  if (!rest.starts_with('$')) return "it has yescrypt parameters beyond N and r";
  // Both factors are tested alone first, so that the product cannot overflow.
  if (*log_n > 30 || *r > limits.max_memory || (std::uint64_t{128} * *r << *log_n) > limits.max_memory) {
    return "it asks yescrypt for more memory than the " + std::to_string(limits.max_memory >> 20) +
           " MiB that are computed with";
  }
  rest.remove_prefix(1);
  const auto end = rest.find('$');
  if (end == std::string_view::npos) return "the hash is cut off within its salt (is the column wide enough?)";
  hash.digest = rest.substr(end + 1);
  return check_digest(hash.digest, 43);
}

struct Known {
  Scheme scheme;
  std::string_view name;    // of Dovecot
  std::string_view prefix;  // of crypt(5)
  WhyNot (*check)(StoredHash&, const Limits&);
};
constexpr std::array<Known, 6> kKnown = {{
    {Scheme::Sha512Crypt, "SHA512-CRYPT", "$6$", check_sha512_crypt},
    {Scheme::Sha256Crypt, "SHA256-CRYPT", "$5$", check_sha256_crypt},
    {Scheme::Bcrypt, "BLF-CRYPT", "$2b$", check_bcrypt},
    {Scheme::Bcrypt, "BLF-CRYPT", "$2y$", check_bcrypt},
    {Scheme::Bcrypt, "BLF-CRYPT", "$2a$", check_bcrypt},
    {Scheme::Yescrypt, "CRYPT", "$y$", check_yescrypt},
}};

Parsed bad(std::string why) {
  return {std::nullopt, std::move(why)};
}

}  // namespace

std::string_view dovecot_name(Scheme scheme) {
  for (const auto& known : kKnown) {
    if (known.scheme == scheme) return known.name;
  }
  return "CRYPT";
}

Parsed parse_hash(std::string_view stored, const Limits& limits) {
  if (stored.empty()) return bad("there is no password hash in the row");
  if (stored.size() > kMaxStored) return bad("what is stored is too long for any password hash");
  if (stored.find('\0') != std::string_view::npos) return bad("the hash has a NUL byte in it");

  std::string_view text = stored;
  std::string_view name;
  if (text.front() == '{') {
    const auto end = text.find('}');
    if (end == std::string_view::npos) return bad("a '{' begins the name of a scheme, and no '}' ends it");
    name = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
  }
  // {CRYPT} is whatever crypt(3) takes; the hash itself says what it is.
  const bool by_prefix = name.empty() || equal_ignoring_ascii_case(name, "CRYPT");
  bool name_known = by_prefix;
  for (const auto& known : kKnown) {
    const bool named = equal_ignoring_ascii_case(name, known.name);
    name_known = name_known || named;
    if (!text.starts_with(known.prefix) || !(by_prefix || named)) continue;
    StoredHash hash{known.scheme, text, {}};
    if (auto why_not = known.check(hash, limits)) return bad(std::move(*why_not));
    return {hash, {}};
  }
  if (!name_known) {
    // The name of a scheme is short; anything else between braces might be a part of a secret.
    constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
    const bool is_name = name.size() <= 16 && name.find_first_not_of(kNameCharacters) == std::string_view::npos;
    return bad(is_name ? "the scheme {" + std::string(name) + "} is not known" : "the name of its scheme is not one");
  }
  if (!by_prefix) return bad("the hash is not of the scheme that its {prefix} names");
  return bad("it is not a hash of a known scheme (is it a plain password?)");
}

}  // namespace vmail::password
