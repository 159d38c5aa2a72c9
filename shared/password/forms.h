// What each kind of stored hash looks like: reads hash.text, and fills in digest, salt, cost and what else the kind
// has. For scheme.cc alone.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "shared/password/scheme.h"

namespace vmail::password {

// Why a hash is not taken, in words without a byte of it; nothing when all is well.
using WhyNot = std::optional<std::string>;

// crypt(5) and https://www.akkadia.org/drepper/SHA-crypt.txt
WhyNot read_sha512_crypt(StoredHash& hash, const Limits& limits);
WhyNot read_sha256_crypt(StoredHash& hash, const Limits& limits);
WhyNot read_md5_crypt(StoredHash& hash, const Limits& limits);
WhyNot read_bcrypt(StoredHash& hash, const Limits& limits);
WhyNot read_yescrypt(StoredHash& hash, const Limits& limits);

// "$argon2id$v=19$m=65536,t=2,p=1$SALT$DIGEST" (the reference implementation's encoding.c)
WhyNot read_argon2(StoredHash& hash, const Limits& limits);
// "$1$SALT$ROUNDS$DIGEST", over HMAC-SHA1 (Dovecot's password-scheme-pbkdf2.c)
WhyNot read_pbkdf2(StoredHash& hash, const Limits& limits);
WhyNot read_scram(StoredHash& hash, const Limits& limits);
WhyNot read_plain(StoredHash& hash, const Limits& limits);
// hash.text: the bytes of a digest, and a salt behind it.
WhyNot read_digest(StoredHash& hash, std::size_t digest_size, bool salted);

// The alphabet of crypt(3).
inline constexpr std::string_view kCryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

}  // namespace vmail::password
