#include "shared/password/app_password.h"

#include <stdexcept>

#include "shared/base/base64.h"
#include "shared/password/digest.h"
#include "shared/password/random.h"

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

// As Dovecot has it: the base64 of SHA-256(password and salt), and the salt behind it.
Secret salted_sha256(const Secret& password) {
  const StoredHash hash{Scheme::SaltedSha256, {}, {}, random_bytes(kSalt), 1, 0, 0, 0};
  const Secret digest = derive(password, hash);
  if (digest.empty()) throw std::runtime_error("OpenSSL does not make SHA-256 here");
  return Secret("{SSHA256}" + base64_encode(digest.text() + hash.salt));
}

}  // namespace

NewAppPassword make_app_password() {
  std::string random = random_bytes(kLength);
  std::string text;
  text.reserve(kLength);
  // Five bits of each byte: the alphabet has 32 characters, so none is likelier than another.
  for (std::size_t at = 0; at < kLength; ++at)
    text += is_dash(at) ? '-' : kAlphabet[static_cast<unsigned char>(random[at]) & 31u];
  wipe(random);
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
