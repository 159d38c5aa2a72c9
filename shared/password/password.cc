#include "shared/password/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <string.h>

#include <array>
#include <memory>
#include <stdexcept>

#include "shared/base/text.h"
#include "shared/password/digest.h"
#include "shared/password/random.h"

namespace vmail::password {
namespace {

constexpr unsigned long kDefaultRounds = 5000;  // of SHA512-CRYPT, where its text names none
// What OWASP's password storage cheat sheet asks for at least, of bcrypt and of Argon2id; libxcrypt's own for yescrypt.
constexpr unsigned long kBcryptCost = 10;
constexpr unsigned long kYescryptCost = 5;
constexpr std::uint64_t kYescryptMemory = 16u << 20;  // which that cost is
constexpr unsigned kArgon2Memory = 19 * 1024;         // KiB
constexpr unsigned kArgon2Passes = 2;
constexpr std::size_t kBcryptLongest = 72;

// 32 KiB, in which libxcrypt leaves what it computed with.
struct WipedCryptData {
  crypt_data data{};
  ~WipedCryptData() { explicit_bzero(&data, sizeof data); }
};

// crypt(3) with memory of its own; empty when libxcrypt refuses setting or password.
Secret crypt_text(const Secret& password, const std::string& setting) {
  const auto memory = std::make_unique<WipedCryptData>();
  const char* result = crypt_rn(password.text().c_str(), setting.c_str(), &memory->data, sizeof memory->data);
  return result == nullptr ? Secret() : Secret(result);
}

Result compare(std::string_view computed, std::string_view expected) {
  const bool equal =
      computed.size() == expected.size() && CRYPTO_memcmp(computed.data(), expected.data(), expected.size()) == 0;
  return {equal ? Verdict::Match : Verdict::Mismatch, {}};
}

Result compute_crypt(const Secret& password, const StoredHash& hash) {
  const Secret computed = crypt_text(password, hash.text.text());
  const std::size_t size = hash.digest.view().size();
  if (computed.view().size() < size) return {Verdict::BadData, "libxcrypt does not take the hash"};
  // The tail alone: libxcrypt writes a salt of more than 16 characters back shortened.
  return compare(computed.view().substr(computed.view().size() - size), hash.digest.view());
}

bool has_nul(const Secret& password) {
  return password.view().find('\0') != std::string_view::npos;
}

std::string sha512_crypt_setting(unsigned long rounds) {
  if (rounds < 1000 || rounds > 999999999) {
    throw std::invalid_argument("SHA512-CRYPT takes 1000 to 999999999 rounds, not " + std::to_string(rounds));
  }
  std::string setting = "$6$";
  if (rounds != kDefaultRounds) setting += "rounds=" + std::to_string(rounds) + '$';
  return setting + random_salt(16) + '$';
}

std::string random_setting(const char* prefix, unsigned long cost) {
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
  const std::string seed = random_bytes(16);
  if (crypt_gensalt_rn(prefix, cost, seed.data(), static_cast<int>(seed.size()), setting.data(),
                       static_cast<int>(setting.size())) == nullptr) {
    return {};
  }
  return setting.data();
}

}  // namespace

bool may_match(const Secret& password, const Limits& limits) {
  return !password.empty() && password.view().size() <= limits.max_length && !has_nul(password);
}

Result compute(const Secret& password, const StoredHash& hash) {
  switch (hash.scheme) {
    case Scheme::Sha512Crypt:
    case Scheme::Sha256Crypt:
    case Scheme::Bcrypt:
    case Scheme::Yescrypt:
    case Scheme::Md5Crypt:
      return compute_crypt(password, hash);
    default: {
      const Secret computed = derive(password, hash);
      if (computed.empty()) return {Verdict::BadData, "the library of its scheme does not take the hash"};
      return compare(computed.view(), hash.digest.view());
    }
  }
}

Result verify(const Secret& password, std::string_view stored, const Limits& limits) {
  const Parsed parsed = parse_hash(stored, limits);
  if (!parsed.hash) return {Verdict::BadData, parsed.why_not};
  if (!may_match(password, limits)) return {Verdict::Mismatch, {}};
  return compute(password, *parsed.hash);
}

Scheme scheme_to_make(std::string_view name) {
  if (equal_ignoring_ascii_case(name, "SHA512-CRYPT")) return Scheme::Sha512Crypt;
  if (equal_ignoring_ascii_case(name, "BLF-CRYPT")) return Scheme::Bcrypt;
  if (equal_ignoring_ascii_case(name, "YESCRYPT")) return Scheme::Yescrypt;
  if (equal_ignoring_ascii_case(name, "ARGON2ID")) return Scheme::Argon2id;
  throw std::invalid_argument("no hashes are made of the scheme " + printable(name));
}

void require_hashable(const Secret& password) {
  if (password.empty() || has_nul(password) || password.view().size() >= CRYPT_MAX_PASSPHRASE_SIZE) {
    throw std::invalid_argument("a password must have 1 to 511 bytes, none of them NUL");
  }
}

std::string make_sha512_crypt(const Secret& password, unsigned long rounds) {
  return make(password, Scheme::Sha512Crypt, {rounds});
}

std::string make(const Secret& password, const Scheme& scheme, const MakeOptions& options) {
  require_hashable(password);
  std::string hash;
  switch (scheme) {
    case Scheme::Sha512Crypt:
      hash = crypt_text(password, sha512_crypt_setting(options.rounds)).text();
      break;
    case Scheme::Bcrypt:
      if (password.view().size() > kBcryptLongest) {
        throw std::invalid_argument("BLF-CRYPT takes a password of at most 72 bytes, and would cut this one");
      }
      hash = crypt_text(password, random_setting("$2y$", kBcryptCost)).text();
      break;
    case Scheme::Yescrypt:
      hash = crypt_text(password, random_setting("$y$", kYescryptCost)).text();
      break;
    case Scheme::Argon2id:
      hash = encode_argon2id(password, random_bytes(16), kArgon2Memory, kArgon2Passes);
      break;
    default:
      throw std::invalid_argument("no hashes are made of the scheme " + std::string(dovecot_name(scheme)));
  }
  if (hash.empty()) {
    throw std::runtime_error("the library makes no hashes of the scheme " + std::string(dovecot_name(scheme)));
  }
  // Bare, as the original schema has them.
  if (scheme == Scheme::Sha512Crypt) return hash;
  return "{" + std::string(dovecot_name(scheme)) + "}" + hash;
}

std::string make_dummy_hash(unsigned long rounds) {
  return make_sha512_crypt(Secret(random_salt(32)), rounds);
}

bool needs_rehash(std::string_view stored, Scheme scheme, const MakeOptions& options, const Limits& limits) {
  const Parsed parsed = parse_hash(stored, limits);
  if (!parsed.hash) return false;
  const StoredHash& hash = *parsed.hash;
  if (hash.scheme != scheme) return true;
  switch (scheme) {
    case Scheme::Sha512Crypt:
      return hash.cost < options.rounds;
    case Scheme::Bcrypt:
      return hash.cost < kBcryptCost;
    case Scheme::Yescrypt:
      return hash.memory < kYescryptMemory;
    case Scheme::Argon2id:
      return hash.memory < std::uint64_t{kArgon2Memory} * 1024 || hash.cost < kArgon2Passes;
    default:
      return false;
  }
}

}  // namespace vmail::password
