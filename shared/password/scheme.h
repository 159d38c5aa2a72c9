// Stored password hashes as text: which scheme, how dear, and is it whole. Pure; nothing is hashed here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/secret.h"

namespace vmail::password {

// What a login may cost at most. A row that asks for more is bad data: it is not computed.
struct Limits {
  std::size_t max_length = 256;        // bytes of a password, looked at before hashing
  std::uint64_t max_rounds = 1000000;  // SHA512-CRYPT, SHA256-CRYPT, PBKDF2, SCRAM-SHA-256
  unsigned max_bcrypt_cost = 14;
  std::uint64_t max_memory = 64u << 20;  // yescrypt, Argon2: bytes
  unsigned max_passes = 16;              // Argon2: over that memory
  bool allow_weak = false;               // MD5 in all its forms, and passwords that are stored as they are
};

enum class Scheme : unsigned char {
  // crypt(3)
  Sha512Crypt,
  Sha256Crypt,
  Bcrypt,
  Yescrypt,
  Md5Crypt,
  // functions of many rounds that crypt(3) does not know
  Argon2i,
  Argon2id,
  Pbkdf2,
  ScramSha256,
  // a digest of the password and, with the salted ones, of the salt behind it
  SaltedSha1,
  SaltedSha256,
  SaltedSha512,
  SaltedMd5,
  Sha1,
  Sha256,
  Sha512,
  PlainMd5,
  LdapMd5,
  Plain,
};

struct StoredHash {
  Scheme scheme;
  Secret text;           // without {SCHEME} and decoded; what crypt(3) takes as its setting
  Secret digest;         // what a password must come to: characters of crypt(3), else bytes
  std::string salt;      // SHA512-CRYPT: its first 16 characters; SCRAM, Argon2, PBKDF2 and digests: as it is hashed
  std::uint64_t cost;    // rounds, passes, bcrypt's exponent; 1 where there is nothing to choose
  std::uint64_t memory;  // yescrypt, Argon2: bytes; else 0
  unsigned lanes;        // Argon2
  unsigned version;      // Argon2: 0x10 or 0x13
};

struct Parsed {
  std::optional<StoredHash> hash;
  std::string why_not;  // in words, without a byte of the hash; empty when there is one
};

// Takes {SCHEME}, {SCHEME.b64}, {SCHEME.base64} and {SCHEME.hex} in any case, {CRYPT}, and bare hashes that begin with
// '$', as Dovecot does (its password-scheme.c). {PLAIN}, {CLEAR} and {CLEARTEXT} are one.
Parsed parse_hash(std::string_view stored, const Limits& limits);

// The name that Dovecot gives a scheme, for "{NAME}hash".
std::string_view dovecot_name(Scheme scheme);

// "{SCHEME}hash" as Dovecot wants it of a credentials lookup; empty when parse_hash() does not take `stored`.
Secret with_scheme(std::string_view stored, const Limits& limits);

}  // namespace vmail::password
