// Makes and verifies password hashes. Blocking for milliseconds: for the hash queue and for tools, never for the loop.
// From any thread. No function logs, and no reason holds a byte of a password or hash.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/secret.h"
#include "shared/password/scheme.h"

namespace vmail::password {

// NotComputed: what is stored was not looked at, because too many logins waited or nobody waits any more (HashQueue).
enum class Verdict : unsigned char { Match, Mismatch, BadData, NotComputed };

struct Result {
  Verdict verdict;
  std::string reason;  // of BadData: what is wrong with the stored hash; of NotComputed: why; in words
};

// An empty password, one longer than limits.max_length and one with a NUL in it match nothing; neither is hashed.
// BadData: a scheme that is not known, a damaged hash, or one that asks for more than `limits`.
Result verify(const Secret& password, std::string_view stored, const Limits& limits);
// The two halves of it, for who computes some hashes in another way: whether `password` may be hashed at all, and the
// hashing.
bool may_match(const Secret& password, const Limits& limits);
Result compute(const Secret& password, const StoredHash& hash);

// What is chosen in the settings about new hashes; the cost of the other schemes is fixed in password.cc.
struct MakeOptions {
  unsigned long rounds = 5000;  // SHA512-CRYPT
};

// "$6$salt$..." with 16 random characters of salt; `rounds=` is written unless it is the default of 5000. Throws as
// make() does.
std::string make_sha512_crypt(const Secret& password, unsigned long rounds);

// One of "SHA512-CRYPT", "BLF-CRYPT", "YESCRYPT" and "ARGON2ID" (passwords.scheme). Throws std::invalid_argument for
// another.
Scheme scheme_to_make(std::string_view name);

// A new hash with a random salt, to be stored: SHA512-CRYPT bare, any other with its {SCHEME}. Throws
// std::invalid_argument when rounds are not 1000 to 999999999, for a scheme of which none are made, and for a password
// that the scheme does not take (empty, with a NUL, 512 bytes and more; BLF-CRYPT: more than 72 bytes, which it would
// cut); std::system_error when the kernel gives no random bytes; std::runtime_error when the library makes no such
// hashes.
std::string make(const Secret& password, const Scheme& scheme, const MakeOptions& options);

// The part of this that holds for every scheme. Throws std::invalid_argument.
void require_hashable(const Secret& password);

// A SHA512-CRYPT hash that no password matches, to be verified in the place of an account's that does not exist.
std::string make_dummy_hash(unsigned long rounds);

// Whether what make() would store now is another scheme than `stored`, or dearer. False for what cannot be parsed: that
// is no reason to write.
bool needs_rehash(std::string_view stored, Scheme scheme, const MakeOptions& options, const Limits& limits);

}  // namespace vmail::password
