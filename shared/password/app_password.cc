#include "shared/password/app_password.h"

#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "shared/base/base64.h"

namespace vmail::password {
namespace {

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::size_t kSelector = 8;
constexpr std::size_t kGroup = 4;
constexpr std::size_t kGroups = 4;
constexpr std::size_t kLength = kSelector + kGroups * (1 + kGroup);
constexpr std::size_t kSalt = 16;

bool is_dash(std::size_t at) {
  return at >= kSelector && (at - kSelector) % (1 + kGroup) == 0;
}

template <std::size_t size>
struct Random {
  Random() {
    if (::getrandom(bytes.data(), size, 0) != static_cast<ssize_t>(size)) {
      throw std::system_error(errno, std::generic_category(), "getrandom");
    }
  }
  ~Random() { explicit_bzero(bytes.data(), size); }
  std::array<unsigned char, size> bytes{};
};

// As Dovecot has it: the base64 of SHA-256(password and salt), and the salt behind it.
Secret salted_sha256(const Secret& password) {
  const Random<kSalt> salt;
  const std::string_view salt_bytes(reinterpret_cast<const char*>(salt.bytes.data()), kSalt);
  std::string salted;
  salted.reserve(kLength + kSalt);
  salted.append(password.view()).append(salt_bytes);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  const bool done = EVP_Digest(salted.data(), salted.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1;
  wipe(salted);
  if (!done) throw std::runtime_error("OpenSSL does not make SHA-256 here");
  std::string stored(reinterpret_cast<const char*>(digest.data()), size);
  stored.append(salt_bytes);
  return Secret("{SSHA256}" + base64_encode(stored));
}

}  // namespace

NewAppPassword make_app_password() {
  const Random<kLength> random;
  std::string text;
  text.reserve(kLength);
  // Five bits of each byte: the alphabet has 32 characters, so none is likelier than another.
  for (std::size_t at = 0; at < kLength; ++at) text += is_dash(at) ? '-' : kAlphabet[random.bytes[at] & 31u];
  NewAppPassword made;
  made.selector = text.substr(0, kSelector);
  made.password = Secret::take(text);
  made.hash = salted_sha256(made.password);
  return made;
}

std::string_view selector_of(std::string_view password) {
  if (password.size() != kLength) return {};
  for (std::size_t at = 0; at < kLength; ++at) {
    const bool good = is_dash(at) ? password[at] == '-' : kAlphabet.find(password[at]) != std::string_view::npos;
    if (!good) return {};
  }
  return password.substr(0, kSelector);
}

}  // namespace vmail::password
