// SHA512-CRYPT round by round, and the engines that do the rounds: quicker than libxcrypt, one hash at a time or
// several side by side. Which of them give libxcrypt's results is found out, see make_sha512_engines().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/secret.h"
#include "shared/password/scheme.h"

namespace vmail::password {

// One SHA512-CRYPT hash on its way (https://www.akkadia.org/drepper/SHA-crypt.txt). Each round is a SHA-512 over the
// digest of the round before, the password and the salt, in one of eight orders; all eight are laid out once, so that a
// round is nothing but the digest, written into its place in the next. Used by one thread at a time; holds what can be
// reckoned back to the password, and wipes it.
class Sha512Crypt {
 public:
  // A salt of at most 16 characters. Its digests before the first round are computed here.
  Sha512Crypt(const Secret& password, std::string_view salt, std::uint64_t rounds);
  ~Sha512Crypt();
  Sha512Crypt(const Sha512Crypt&) = delete;
  Sha512Crypt& operator=(const Sha512Crypt&) = delete;

  bool done() const { return round_ == rounds_; }

  struct Message {
    const unsigned char* bytes;
    std::size_t size;
    std::size_t blocks;  // of 128 bytes, in which SHA-512's padding is there already
  };
  // What the next round hashes. It must not be done.
  Message message() const {
    const Layout& layout = layouts_[layout_of(round_)];
    return {layout.bytes, layout.size, layout.blocks};
  }
  // Where the 64 bytes of its digest belong: into the round after it.
  unsigned char* digest() {
    const std::uint64_t next = round_ + 1;
    return layouts_[layout_of(next)].digest;
  }
  void next() { ++round_; }

  // The 86 characters, once done(), and whether these are the same.
  Secret text() const;
  bool is(std::string_view characters) const;

 private:
  struct Layout {
    unsigned char* bytes;
    unsigned char* digest;
    std::size_t size;
    std::size_t blocks;
  };
  // What a round takes beside digest and password: Drepper's steps 21 b to f.
  static std::size_t layout_of(std::uint64_t round) {
    return (round & 1u) + (round % 3 != 0 ? 2u : 0u) + (round % 7 != 0 ? 4u : 0u);
  }
  void lay_out(std::size_t layout, std::string_view password, std::string_view salt, unsigned char* at);

  std::uint64_t round_ = 0;
  std::uint64_t rounds_;
  Layout layouts_[8];
  std::size_t memory_size_;
  unsigned char* memory_;
};

class Sha512Engine {
 public:
  virtual ~Sha512Engine() = default;
  // For the log.
  virtual std::string name() const = 0;
  // So many side by side cost it about as much as one.
  virtual std::size_t width() const = 0;
  // Does so many more rounds of each, or as many as it has left. None of them is done; they are at most width(), or any
  // number where that is 1.
  virtual void advance(std::span<Sha512Crypt* const> hashes, std::uint64_t rounds) = 0;
  // Wipes what is left of hashes in its own memory.
  virtual void forget() {}
};

// OpenSSL's SHA-512, one hash at a time: width() is 1.
std::unique_ptr<Sha512Engine> make_openssl_engine();

// Our own SHA-512, four side by side; nothing where the processor has no AVX2. An engine belongs to one thread.
std::unique_ptr<Sha512Engine> make_avx2_engine();

// Intel's multi-buffer library, eight side by side with AVX-512, four with AVX2. Nothing where we were built without
// its header, where it is not installed, or where the processor has neither. An engine belongs to one thread.
std::unique_ptr<Sha512Engine> make_multi_buffer_engine();

// Whether the engine gives libxcrypt's results for passwords of 0 to 256 bytes with salts of 0 to 16 characters, side
// by side. Takes about a tenth of a second.
bool agrees_with_libxcrypt(Sha512Engine& engine);

// What a thread that hashes has; null: libxcrypt is to do it.
struct Sha512Engines {
  std::unique_ptr<Sha512Engine> one;
  std::unique_ptr<Sha512Engine> several;
};
// Those that agree with libxcrypt, which is found out once in a process. Several go through the multi-buffer library
// where it has AVX-512, else through ours: with AVX2 its jobs cost more than what they share.
Sha512Engines make_sha512_engines();

// Whether Sha512Crypt is for this hash. One with other characters in its salt is for libxcrypt to judge.
bool takes_sha512_engine(const StoredHash& hash);

}  // namespace vmail::password
