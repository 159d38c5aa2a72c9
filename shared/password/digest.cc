#include "shared/password/digest.h"

#include <argon2.h>
#include <openssl/evp.h>

#include <array>
#include <climits>

#include "shared/base/text.h"
#include "shared/password/encoding.h"
#include "shared/password/scram.h"

namespace vmail::password {
namespace {

// Bytes that are wiped when they go.
template <std::size_t size>
struct Wiped {
  std::array<unsigned char, size> bytes{};
  ~Wiped() { explicit_bzero(bytes.data(), bytes.size()); }
  Secret take(std::size_t count) const { return Secret({reinterpret_cast<const char*>(bytes.data()), count}); }
};

Secret digest_of(const EVP_MD* type, const Secret& password, std::string_view salt) {
  std::string both;
  both.reserve(password.view().size() + salt.size());
  both.append(password.view()).append(salt);
  const Secret message = Secret::take(both);
  Wiped<EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  if (EVP_Digest(message.view().data(), message.view().size(), out.bytes.data(), &size, type, nullptr) != 1) {
    return Secret();
  }
  return out.take(size);
}

Secret pbkdf2(const Secret& password, const StoredHash& hash) {
  Wiped<20> out;
  const std::string_view text = password.view();
  if (hash.cost > INT_MAX || PKCS5_PBKDF2_HMAC(text.data(), static_cast<int>(text.size()), octets(hash.salt),
                                               static_cast<int>(hash.salt.size()), static_cast<int>(hash.cost),
                                               EVP_sha1(), static_cast<int>(out.bytes.size()), out.bytes.data()) != 1) {
    return Secret();
  }
  return out.take(out.bytes.size());
}

// All lanes on this thread: the hash threads are as many as there are to be.
Secret argon2(const Secret& password, const StoredHash& hash) {
  Wiped<512> out;
  const std::size_t size = hash.digest.view().size();
  if (size > out.bytes.size()) return Secret();
  // libargon2 takes both as they are unless it is told to wipe them.
  const auto writable = [](std::string_view text) { return const_cast<std::uint8_t*>(octets(text)); };
  argon2_context context{};
  context.out = out.bytes.data();
  context.outlen = static_cast<std::uint32_t>(size);
  context.pwd = writable(password.view());
  context.pwdlen = static_cast<std::uint32_t>(password.view().size());
  context.salt = writable(hash.salt);
  context.saltlen = static_cast<std::uint32_t>(hash.salt.size());
  context.t_cost = static_cast<std::uint32_t>(hash.cost);
  context.m_cost = static_cast<std::uint32_t>(hash.memory / 1024);
  context.lanes = hash.lanes;
  context.threads = 1;
  context.version = hash.version;
  context.flags = ARGON2_DEFAULT_FLAGS;
  const auto type = hash.scheme == Scheme::Argon2i ? Argon2_i : Argon2_id;
  return argon2_ctx(&context, type) == ARGON2_OK ? out.take(size) : Secret();
}

Secret scram_stored_key(const Secret& password, const StoredHash& hash) {
  return scram_sha256_keys(password, hash.salt, static_cast<std::uint32_t>(hash.cost)).stored_key;
}

}  // namespace

Secret derive(const Secret& password, const StoredHash& hash) {
  switch (hash.scheme) {
    case Scheme::Argon2i:
    case Scheme::Argon2id:
      return argon2(password, hash);
    case Scheme::Pbkdf2:
      return pbkdf2(password, hash);
    case Scheme::ScramSha256:
      return scram_stored_key(password, hash);
    case Scheme::SaltedSha1:
    case Scheme::Sha1:
      return digest_of(EVP_sha1(), password, hash.salt);
    case Scheme::SaltedSha256:
    case Scheme::Sha256:
      return digest_of(EVP_sha256(), password, hash.salt);
    case Scheme::SaltedSha512:
    case Scheme::Sha512:
      return digest_of(EVP_sha512(), password, hash.salt);
    case Scheme::SaltedMd5:
    case Scheme::PlainMd5:
    case Scheme::LdapMd5:
      return digest_of(EVP_md5(), password, hash.salt);
    case Scheme::Plain:
      return password.copy();
    case Scheme::Sha512Crypt:
    case Scheme::Sha256Crypt:
    case Scheme::Bcrypt:
    case Scheme::Yescrypt:
    case Scheme::Md5Crypt:
      break;
  }
  return Secret();
}

std::string encode_argon2id(const Secret& password, std::string_view salt, unsigned memory_kib, unsigned passes) {
  StoredHash hash{Scheme::Argon2id,
                  {},
                  Secret(std::string(32, '\0')),
                  std::string(salt),
                  passes,
                  std::uint64_t{memory_kib} * 1024,
                  1,
                  0x13};
  const Secret digest = argon2(password, hash);
  if (digest.empty()) return {};
  return "$argon2id$v=19$m=" + std::to_string(memory_kib) + ",t=" + std::to_string(passes) + ",p=1$" +
         encode_unpadded_base64(salt) + '$' + encode_unpadded_base64(digest.view());
}

}  // namespace vmail::password
