#include "shared/password/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace vmail::password {
namespace {

constexpr unsigned long kDefaultRounds = 5000;

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

// Six bits of each byte: the alphabet has 64 characters, so none is likelier than another.
std::string random_salt() {
  constexpr std::string_view kAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  std::string salt;
  for (const unsigned char byte : bytes) salt += kAlphabet[byte & 63u];
  return salt;
}

bool has_nul(const Secret& password) {
  return password.view().find('\0') != std::string_view::npos;
}

}  // namespace

Result verify(const Secret& password, std::string_view stored, const Limits& limits) {
  const Parsed parsed = parse_hash(stored, limits);
  if (!parsed.hash) return {Verdict::BadData, parsed.why_not};
  if (password.empty() || password.view().size() > limits.max_length || has_nul(password)) {
    return {Verdict::Mismatch, {}};
  }
  const Secret setting(parsed.hash->text);
  const Secret computed = crypt_text(password, setting.text());
  const std::string_view expected = parsed.hash->digest;
  if (computed.view().size() < expected.size()) return {Verdict::BadData, "libxcrypt does not take the hash"};
  // The tail alone: libxcrypt writes a salt of more than 16 characters back shortened.
  const auto tail = computed.view().substr(computed.view().size() - expected.size());
  const bool equal = CRYPTO_memcmp(tail.data(), expected.data(), expected.size()) == 0;
  return {equal ? Verdict::Match : Verdict::Mismatch, {}};
}

std::string make_sha512_crypt(const Secret& password, unsigned long rounds) {
  if (rounds < 1000 || rounds > 999999999) {
    throw std::invalid_argument("SHA512-CRYPT takes 1000 to 999999999 rounds, not " + std::to_string(rounds));
  }
  if (password.empty() || has_nul(password) || password.view().size() >= CRYPT_MAX_PASSPHRASE_SIZE) {
    throw std::invalid_argument("a password must have 1 to 511 bytes, none of them NUL");
  }
  std::string setting = "$6$";
  if (rounds != kDefaultRounds) setting += "rounds=" + std::to_string(rounds) + '$';
  setting += random_salt() + '$';
  const Secret hash = crypt_text(password, setting);
  if (hash.empty()) throw std::runtime_error("libxcrypt does not make SHA512-CRYPT hashes here");
  return hash.text();
}

std::string make_dummy_hash(unsigned long rounds) {
  return make_sha512_crypt(Secret(random_salt() + random_salt()), rounds);
}

Secret with_scheme(std::string_view stored, const Limits& limits) {
  const Parsed parsed = parse_hash(stored, limits);
  if (!parsed.hash) return Secret();
  std::string text;
  const auto name = dovecot_name(parsed.hash->scheme);
  text.reserve(name.size() + parsed.hash->text.size() + 2);
  text.append("{").append(name).append("}").append(parsed.hash->text);
  return Secret::take(text);
}

}  // namespace vmail::password
