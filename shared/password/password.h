// Makes and verifies password hashes with libxcrypt. Blocking for milliseconds: for the hash pool and for tools, never
// for the loop. From any thread. No function logs, and no result holds a byte of a password or hash.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/secret.h"
#include "shared/password/scheme.h"

namespace vmail::password {

enum class Verdict : unsigned char { Match, Mismatch, BadData };

struct Result {
  Verdict verdict;
  std::string reason;  // of BadData: what is wrong with the stored hash, in words
};

// An empty password, one longer than limits.max_length and one with a NUL in it match nothing; neither is hashed.
// BadData: a scheme that is not known, a damaged hash, or one that asks for more than `limits`.
Result verify(const Secret& password, std::string_view stored, const Limits& limits);

// "$6$salt$..." with 16 random characters of salt; `rounds=` is written unless it is the default of 5000.
// Throws std::invalid_argument when rounds are not 1000 to 999999999, or for a password that crypt(3) does not take
// (empty, with a NUL, 512 bytes and more), and std::system_error when the kernel gives no random bytes.
std::string make_sha512_crypt(const Secret& password, unsigned long rounds);

// A hash that no password matches, to be verified in the place of an account's that does not exist, so that both take
// the same time.
std::string make_dummy_hash(unsigned long rounds);

// "{SCHEME}hash" as Dovecot wants it of a credentials lookup; empty when parse_hash() does not take `stored`.
Secret with_scheme(std::string_view stored, const Limits& limits);

}  // namespace vmail::password
