// SHA512_Transform(), the compression function alone, is what the rounds need; EVP has nothing like it.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "shared/password/sha512_crypt.h"

#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "shared/password/forms.h"

namespace vmail::password {
namespace {

constexpr std::size_t kBlock = SHA512_CBLOCK;
constexpr std::size_t kDigest = SHA512_DIGEST_LENGTH;
// Of what several hashes are read from side by side.
constexpr std::align_val_t kAlignment{64};

struct Digest {
  unsigned char bytes[kDigest];
  ~Digest() { explicit_bzero(bytes, sizeof bytes); }
  std::string_view view(std::size_t size = kDigest) const { return {reinterpret_cast<const char*>(bytes), size}; }
};

class Sha512 {
 public:
  Sha512() { SHA512_Init(&context_); }
  ~Sha512() { explicit_bzero(&context_, sizeof context_); }
  Sha512& add(std::string_view bytes) {
    SHA512_Update(&context_, bytes.data(), bytes.size());
    return *this;
  }
  // `size` bytes of the digest over and over.
  Sha512& add_repeated(const Digest& digest, std::size_t size) {
    for (; size > kDigest; size -= kDigest) add(digest.view());
    return add(digest.view(size));
  }
  void finish(Digest& digest) { SHA512_Final(digest.bytes, &context_); }

 private:
  SHA512_CTX context_;
};

std::string repeated(const Digest& digest, std::size_t size) {
  std::string text;
  text.reserve(size);
  for (; size > kDigest; size -= kDigest) text.append(digest.view());
  return text.append(digest.view(size));
}

// Drepper's steps 1 to 12.
void first_digest(std::string_view password, std::string_view salt, Digest& digest) {
  Digest other;
  Sha512().add(password).add(salt).add(password).finish(other);
  Sha512 sum;
  sum.add(password).add(salt).add_repeated(other, password.size());
  for (std::size_t bits = password.size(); bits > 0; bits >>= 1) sum.add((bits & 1u) != 0 ? other.view() : password);
  sum.finish(digest);
}

std::size_t blocks_of(std::size_t size) {
  return (size + 1 + 16 + kBlock - 1) / kBlock;  // FIPS 180-4 section 5.1.2: a one bit, and the length in 16 bytes
}

unsigned char* append(unsigned char* at, std::string_view text) {
  return std::copy(text.begin(), text.end(), at);
}

}  // namespace

Sha512Crypt::Sha512Crypt(const Secret& password, std::string_view salt, std::uint64_t rounds) : rounds_(rounds) {
  const std::string_view text = password.view();
  Digest first;
  first_digest(text, salt, first);

  // Steps 13 to 20: what stands for password and salt in the rounds.
  Digest digest;
  Sha512 of_password;
  for (std::size_t i = 0; i < text.size(); ++i) of_password.add(text);
  of_password.finish(digest);
  std::string password_text = repeated(digest, text.size());
  const Secret p = Secret::take(password_text);
  Sha512 of_salt;
  for (std::size_t i = 0; i < std::size_t{16} + first.bytes[0]; ++i) of_salt.add(salt);
  of_salt.finish(digest);
  std::string salt_text = repeated(digest, salt.size());
  const Secret s = Secret::take(salt_text);

  const std::size_t each = blocks_of(kDigest + 2 * text.size() + salt.size()) * kBlock;
  memory_size_ = std::size(layouts_) * each;
  memory_ = static_cast<unsigned char*>(::operator new[](memory_size_, kAlignment));
  for (std::size_t i = 0; i < std::size(layouts_); ++i) lay_out(i, p.view(), s.view(), memory_ + i * each);
  std::copy(std::begin(first.bytes), std::end(first.bytes), layouts_[layout_of(0)].digest);
}

Sha512Crypt::~Sha512Crypt() {
  explicit_bzero(memory_, memory_size_);
  ::operator delete[](memory_, kAlignment);
}

void Sha512Crypt::lay_out(std::size_t layout, std::string_view password, std::string_view salt, unsigned char* at) {
  const bool odd = (layout & 1u) != 0;
  unsigned char* end = at;
  unsigned char* digest = at;
  if (odd) {
    end = append(end, password);
  } else {
    end += kDigest;
  }
  if ((layout & 2u) != 0) end = append(end, salt);
  if ((layout & 4u) != 0) end = append(end, password);
  if (odd) {
    digest = end;
    end += kDigest;
  } else {
    end = append(end, password);
  }
  const auto size = static_cast<std::size_t>(end - at);
  const std::size_t blocks = blocks_of(size);
  unsigned char* const last = at + blocks * kBlock;
  std::fill(end, last, static_cast<unsigned char>(0));
  *end = 0x80;
  std::uint64_t bits = size * 8;
  for (unsigned char* byte = last; bits > 0; bits >>= 8) *--byte = static_cast<unsigned char>(bits);
  layouts_[layout] = {at, digest, size, blocks};
}

// Step 22: triples of bytes that lie 21 apart, each triple one further and turned by one place.
Secret Sha512Crypt::text() const {
  const unsigned char* const digest = layouts_[layout_of(round_)].digest;
  std::string text;
  text.reserve(86);
  const auto add = [&](std::uint32_t bits, int characters) {
    for (; characters > 0; --characters, bits >>= 6) text += kCryptAlphabet[bits & 63u];
  };
  std::size_t a = 0, b = 21, c = 42;
  for (int i = 0; i < 21; ++i) {
    add(std::uint32_t{digest[a]} << 16 | std::uint32_t{digest[b]} << 8 | digest[c], 4);
    const std::size_t first = a;
    a = b + 1;
    b = c + 1;
    c = first + 1;
  }
  add(digest[63], 2);
  return Secret::take(text);
}

bool Sha512Crypt::is(std::string_view characters) const {
  const Secret own = text();
  return characters.size() == own.view().size() &&
         CRYPTO_memcmp(characters.data(), own.view().data(), characters.size()) == 0;
}

namespace {

class OpensslEngine final : public Sha512Engine {
 public:
  OpensslEngine() { SHA512_Init(&initial_); }
  std::string name() const override { return "OpenSSL"; }
  std::size_t width() const override { return 1; }
  void advance(std::span<Sha512Crypt* const> hashes, std::uint64_t rounds) override {
    for (Sha512Crypt* const hash : hashes) advance(*hash, rounds);
  }

 private:
  void advance(Sha512Crypt& hash, std::uint64_t rounds) const {
    SHA512_CTX context = initial_;
    for (; rounds > 0 && !hash.done(); --rounds, hash.next()) {
      const auto message = hash.message();
      std::copy(std::begin(initial_.h), std::end(initial_.h), context.h);
      for (std::size_t i = 0; i < message.blocks; ++i) SHA512_Transform(&context, message.bytes + i * kBlock);
      unsigned char* out = hash.digest();
      for (const auto word : context.h) {
        const std::uint64_t big_endian = htobe64(word);
        std::memcpy(out, &big_endian, sizeof big_endian);
        out += sizeof big_endian;
      }
    }
    explicit_bzero(&context, sizeof context);
  }

  SHA512_CTX initial_;
};

}  // namespace

std::unique_ptr<Sha512Engine> make_openssl_engine() {
  return std::make_unique<OpensslEngine>();
}

bool takes_sha512_engine(const StoredHash& hash) {
  return hash.scheme == Scheme::Sha512Crypt && hash.salt.find_first_not_of(kCryptAlphabet) == std::string::npos;
}

}  // namespace vmail::password
