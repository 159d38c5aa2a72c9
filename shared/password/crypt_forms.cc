#include <algorithm>

#include "shared/base/text.h"
#include "shared/password/forms.h"

namespace vmail::password {
namespace {

bool is_digest(std::string_view text) {
  return text.find_first_not_of(kCryptAlphabet) == std::string_view::npos;
}

WhyNot take_digest(StoredHash& hash, std::string_view digest, std::size_t size) {
  if (digest.size() < size) {
    return "the hash is cut off: " + std::to_string(digest.size()) + " of " + std::to_string(size) +
           " characters (is the column wide enough?)";
  }
  if (digest.size() > size || !is_digest(digest)) return "the hash has characters that do not belong to it";
  hash.digest = Secret(digest);
  return std::nullopt;
}

// salt$digest; libxcrypt cuts a salt that is longer than `longest`.
WhyNot take_salt_and_digest(StoredHash& hash, std::string_view rest, std::size_t longest, std::size_t digest_size) {
  const auto end = rest.find('$');
  if (end == std::string_view::npos) return "the hash is cut off within its salt (is the column wide enough?)";
  hash.salt = rest.substr(0, std::min(end, longest));
  return take_digest(hash, rest.substr(end + 1), digest_size);
}

// $6$[rounds=N$]salt$digest. libxcrypt takes no number that begins with 0.
WhyNot read_sha_crypt(StoredHash& hash, const Limits& limits, std::size_t digest_size) {
  std::string_view rest = hash.text.view().substr(3);
  constexpr std::string_view kRounds = "rounds=";
  hash.cost = 5000;
  if (rest.starts_with(kRounds)) {
    rest.remove_prefix(kRounds.size());
    const auto end = rest.find('$');
    const auto rounds = rest.starts_with('0') ? std::nullopt : parse_number(rest.substr(0, end));
    if (end == std::string_view::npos || !rounds || *rounds < 1000) return "its rounds= is not a number from 1000 on";
    if (*rounds > limits.max_rounds) {
      return "it asks for " + std::to_string(*rounds) +
             " rounds, more than passwords.max_rounds = " + std::to_string(limits.max_rounds);
    }
    rest.remove_prefix(end + 1);
    hash.cost = *rounds;
  }
  return take_salt_and_digest(hash, rest, 16, digest_size);
}

// A number of yescrypt's parameters: one character up to 47, then longer forms (decode64_uint32() of its
// yescrypt-common.c). Takes what it read off `text`.
std::optional<std::uint32_t> decode_parameter(std::string_view& text, std::uint32_t min) {
  const auto take = [&]() -> std::optional<std::uint32_t> {
    const auto value = text.empty() ? std::string_view::npos : kCryptAlphabet.find(text.front());
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

}  // namespace

WhyNot read_sha512_crypt(StoredHash& hash, const Limits& limits) {
  return read_sha_crypt(hash, limits, 86);
}

WhyNot read_sha256_crypt(StoredHash& hash, const Limits& limits) {
  return read_sha_crypt(hash, limits, 43);
}

// $1$salt$digest, always a thousand rounds.
WhyNot read_md5_crypt(StoredHash& hash, const Limits&) {
  return take_salt_and_digest(hash, hash.text.view().substr(3), 8, 22);
}

// $2b$NN$ and 22 characters of salt and 31 of digest without a sign between them.
WhyNot read_bcrypt(StoredHash& hash, const Limits& limits) {
  constexpr std::size_t kSalt = 7, kDigest = kSalt + 22;
  const std::string_view text = hash.text.view();
  const auto cost = text.size() > kSalt && text[6] == '$' ? parse_number(text.substr(4, 2)) : std::nullopt;
  if (!cost || *cost < 4) return "its cost is not a number from 04 on";
  if (*cost > limits.max_bcrypt_cost) {
    return "it asks for bcrypt cost " + std::to_string(*cost) + ", more than the " +
           std::to_string(limits.max_bcrypt_cost) + " that are computed";
  }
  if (!is_digest(text.substr(kSalt))) return "the hash has characters that do not belong to it";
  hash.cost = *cost;
  return take_digest(hash, text.size() > kDigest ? text.substr(kDigest) : std::string_view(), 31);
}

// $y$jNr$salt$digest: the flavour that crypt_gensalt(3) makes, memory 128 * r * 2^N. Its optional parameters (more
// threads, more time, a ROM) are made by no crypt(3) and would be another way to be dear.
WhyNot read_yescrypt(StoredHash& hash, const Limits& limits) {
  std::string_view rest = hash.text.view().substr(3);
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
  hash.memory = std::uint64_t{128} * *r << *log_n;
  return take_salt_and_digest(hash, rest.substr(1), rest.size(), 43);
}

}  // namespace vmail::password
