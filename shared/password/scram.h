// Keys of SCRAM-SHA-256 (RFC 5802, RFC 7677): what a server keeps in the place of a password. The text is that of
// Dovecot's {SCRAM-SHA-256}: "iterations,salt,StoredKey,ServerKey", the last three in base64.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/secret.h"

namespace vmail::password {

struct ScramKeys {
  std::uint32_t iterations;
  std::string salt;  // all three as bytes
  Secret stored_key;
  Secret server_key;
};

// Blocking for milliseconds. The password is taken as it is: SASLprep changes none that is ASCII, and Dovecot makes its
// keys without it too. The keys are empty when OpenSSL refuses.
ScramKeys scram_sha256_keys(const Secret& password, std::string_view salt, std::uint32_t iterations);

// New keys with a random salt, as text. Throws as make() does.
std::string make_scram_sha256(const Secret& password, std::uint32_t iterations = 4096);

// Nothing for what is not such a text: other lengths, fewer than 4096 or more than `max_iterations`.
std::optional<ScramKeys> parse_scram_sha256(std::string_view text, std::uint64_t max_iterations = 1000000);

}  // namespace vmail::password
