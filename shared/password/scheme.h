// Stored password hashes as text: which scheme, how dear, and is it whole. Pure; nothing is hashed here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vmail::password {

// What a login may cost at most. A row that asks for more is bad data: it is not computed.
struct Limits {
  std::size_t max_length = 256;        // bytes of a password, looked at before hashing
  std::uint64_t max_rounds = 1000000;  // SHA512-CRYPT, SHA256-CRYPT
  unsigned max_bcrypt_cost = 14;
  std::uint64_t max_memory = 64u << 20;  // yescrypt: bytes
};

enum class Scheme : unsigned char { Sha512Crypt, Sha256Crypt, Bcrypt, Yescrypt };

struct StoredHash {
  Scheme scheme;
  std::string_view text;    // without {SCHEME}: what crypt(3) takes as its setting; points into the parsed text
  std::string_view digest;  // its tail that depends on the password
};

struct Parsed {
  std::optional<StoredHash> hash;
  std::string why_not;  // in words, without a byte of the hash; empty when there is one
};

// Takes {SCHEME} in any case, {CRYPT}, and bare hashes. The result points into `stored`.
Parsed parse_hash(std::string_view stored, const Limits& limits);

// The name that Dovecot gives a scheme, for "{NAME}hash".
std::string_view dovecot_name(Scheme scheme);

}  // namespace vmail::password
