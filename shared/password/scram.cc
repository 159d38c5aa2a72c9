#include "shared/password/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <climits>
#include <stdexcept>

#include "shared/base/base64.h"
#include "shared/base/text.h"
#include "shared/password/password.h"
#include "shared/password/random.h"

namespace vmail::password {
namespace {

constexpr int kSize = 32;  // of SHA-256
constexpr std::uint32_t kMinIterations = 4096;
Secret secret(const unsigned char* bytes) {
  return Secret({reinterpret_cast<const char*>(bytes), kSize});
}

std::optional<std::string> take_key(std::string_view text) {
  auto bytes = base64_decode(text);
  return bytes && bytes->size() == kSize ? bytes : std::nullopt;
}

}  // namespace

// RFC 5802 section 3: SaltedPassword := Hi(password, salt, i), StoredKey := H(HMAC(SaltedPassword, "Client Key")),
// ServerKey := HMAC(SaltedPassword, "Server Key").
ScramKeys scram_sha256_keys(const Secret& password, std::string_view salt, std::uint32_t iterations) {
  ScramKeys keys{iterations, std::string(salt), {}, {}};
  unsigned char salted[kSize], client_key[kSize], stored_key[kSize], server_key[kSize];
  const auto text = password.view();
  const auto hmac = [&](std::string_view name, unsigned char* out) {
    return HMAC(EVP_sha256(), salted, kSize, octets(name), name.size(), out, nullptr) != nullptr;
  };
  if (iterations <= INT_MAX &&
      PKCS5_PBKDF2_HMAC(text.data(), static_cast<int>(text.size()), octets(salt), static_cast<int>(salt.size()),
                        static_cast<int>(iterations), EVP_sha256(), kSize, salted) == 1 &&
      hmac("Client Key", client_key) && hmac("Server Key", server_key) &&
      EVP_Digest(client_key, kSize, stored_key, nullptr, EVP_sha256(), nullptr) == 1) {
    keys.stored_key = secret(stored_key);
    keys.server_key = secret(server_key);
  }
  for (auto* bytes : {salted, client_key, stored_key, server_key}) explicit_bzero(bytes, kSize);
  return keys;
}

std::string make_scram_sha256(const Secret& password, std::uint32_t iterations) {
  if (iterations < kMinIterations) throw std::invalid_argument("SCRAM-SHA-256 takes 4096 iterations or more");
  require_hashable(password);
  const ScramKeys keys = scram_sha256_keys(password, random_bytes(16), iterations);
  if (keys.stored_key.empty()) throw std::runtime_error("OpenSSL does not make SCRAM-SHA-256 keys here");
  return std::to_string(iterations) + ',' + base64_encode(keys.salt) + ',' + base64_encode(keys.stored_key.view()) +
         ',' + base64_encode(keys.server_key.view());
}

std::optional<ScramKeys> parse_scram_sha256(std::string_view text, std::uint64_t max_iterations) {
  std::string_view parts[4];
  for (auto& part : parts) {
    const auto end = &part == &parts[3] ? text.size() : text.find(',');
    if (end == std::string_view::npos) return std::nullopt;
    part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const auto iterations = parse_number(parts[0]);
  if (!iterations || *iterations < kMinIterations || *iterations > max_iterations || *iterations > INT_MAX) {
    return std::nullopt;
  }
  const auto salt = base64_decode(parts[1]);
  auto stored_key = take_key(parts[2]), server_key = take_key(parts[3]);
  if (!salt || salt->empty() || !stored_key || !server_key) return std::nullopt;
  return ScramKeys{static_cast<std::uint32_t>(*iterations), *salt, Secret::take(*stored_key),
                   Secret::take(*server_key)};
}

}  // namespace vmail::password
