// SHA-512 (FIPS 180-4) of four hashes at a time, one in each 64-bit lane of AVX2's registers. Four messages are read
// and compressed together; a lane whose message ends begins its next, whatever the others do.
#include "shared/password/sha512_crypt.h"

#ifdef __x86_64__

#include <endian.h>
#include <immintrin.h>
#include <string.h>

#include <array>
#include <cassert>
#include <cstring>

// For these functions alone: what else is in this file, and what the linker might share with other files, runs on every
// processor.
#define VMAIL_AVX2 __attribute__((target("avx2")))

namespace vmail::password {
namespace {

constexpr std::size_t kLanes = 4;
constexpr std::size_t kBlock = 128;

typedef std::uint64_t Lanes __attribute__((vector_size(32)));

constexpr std::uint64_t kFirst[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};
constexpr std::uint64_t kConstants[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

// What is worked with, in one place that can be wiped.
struct Scratch {
  Lanes state[8];
  Lanes words[16];
};

template <int bits>
VMAIL_AVX2 inline Lanes rotated(Lanes x) {
  return x >> bits | x << (64 - bits);
}

// Four words of each block, as big-endian numbers: word i of all four becomes words[i].
VMAIL_AVX2 inline void read_words(const unsigned char* const blocks[kLanes], std::size_t offset, Lanes* words) {
  const __m256i swap =
      _mm256_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607, 0x08090a0b0c0d0e0f, 0x0001020304050607);
  __m256i rows[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) {
    const auto* const from = reinterpret_cast<const __m256i*>(blocks[i] + offset);
    rows[i] = _mm256_shuffle_epi8(_mm256_loadu_si256(from), swap);
  }
  const __m256i even_low = _mm256_unpacklo_epi64(rows[0], rows[1]), odd_low = _mm256_unpackhi_epi64(rows[0], rows[1]);
  const __m256i even_high = _mm256_unpacklo_epi64(rows[2], rows[3]), odd_high = _mm256_unpackhi_epi64(rows[2], rows[3]);
  words[0] = reinterpret_cast<Lanes>(_mm256_permute2x128_si256(even_low, even_high, 0x20));
  words[1] = reinterpret_cast<Lanes>(_mm256_permute2x128_si256(odd_low, odd_high, 0x20));
  words[2] = reinterpret_cast<Lanes>(_mm256_permute2x128_si256(even_low, even_high, 0x31));
  words[3] = reinterpret_cast<Lanes>(_mm256_permute2x128_si256(odd_low, odd_high, 0x31));
}

// FIPS 180-4 section 6.4.2, for all lanes.
VMAIL_AVX2 void compress(Scratch& scratch, const unsigned char* const blocks[kLanes]) {
  Lanes* const w = scratch.words;
  for (std::size_t i = 0; i < 16; i += 4) read_words(blocks, i * 8, w + i);
  Lanes a = scratch.state[0], b = scratch.state[1], c = scratch.state[2], d = scratch.state[3];
  Lanes e = scratch.state[4], f = scratch.state[5], g = scratch.state[6], h = scratch.state[7];
  for (std::size_t t = 0; t < 80; t += 16) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; ++i) {
      if (t > 0) {
        const Lanes x = w[(i + 1) & 15u], y = w[(i + 14) & 15u];
        w[i] +=
            w[(i + 9) & 15u] + (rotated<1>(x) ^ rotated<8>(x) ^ x >> 7) + (rotated<19>(y) ^ rotated<61>(y) ^ y >> 6);
      }
      const Lanes sum =
          h + w[i] + kConstants[t + i] + (rotated<14>(e) ^ rotated<18>(e) ^ rotated<41>(e)) + (g ^ (e & (f ^ g)));
      const Lanes other = (rotated<28>(a) ^ rotated<34>(a) ^ rotated<39>(a)) + (b ^ ((a ^ b) & (b ^ c)));
      h = g;
      g = f;
      f = e;
      e = d + sum;
      d = c;
      c = b;
      b = a;
      a = sum + other;
    }
  }
  const Lanes sums[8] = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < 8; ++i) scratch.state[i] += sums[i];
}

class Avx2Engine final : public Sha512Engine {
 public:
  ~Avx2Engine() override { forget(); }
  std::string name() const override { return "our SHA-512 with AVX2"; }
  std::size_t width() const override { return kLanes; }

  void advance(std::span<Sha512Crypt* const> hashes, std::uint64_t rounds) override {
    assert(hashes.size() <= kLanes);
    static constexpr unsigned char kNothing[kBlock] = {};
    std::array<Lane, kLanes> lanes{};
    std::size_t busy = hashes.size();
    for (std::size_t i = 0; i < busy; ++i) {
      lanes[i].hash = hashes[i];
      lanes[i].left = rounds;
      begin(lanes[i], i);
    }
    while (busy > 0) {
      const unsigned char* blocks[kLanes];
      for (std::size_t i = 0; i < kLanes; ++i) {
        blocks[i] = lanes[i].left > 0 ? lanes[i].message.bytes + lanes[i].block * kBlock : kNothing;
      }
      compress(scratch_, blocks);
      for (std::size_t i = 0; i < kLanes; ++i) {
        Lane& lane = lanes[i];
        if (lane.left == 0 || ++lane.block < lane.message.blocks) continue;
        end(lane, i);
        if (--lane.left > 0 && !lane.hash->done()) {
          begin(lane, i);
        } else {
          lane.left = 0;
          --busy;
        }
      }
    }
  }

  void forget() override { explicit_bzero(&scratch_, sizeof scratch_); }

 private:
  struct Lane {
    Sha512Crypt* hash;
    std::uint64_t left;  // rounds
    Sha512Crypt::Message message;
    std::size_t block;
  };

  void begin(Lane& lane, std::size_t number) {
    lane.message = lane.hash->message();
    lane.block = 0;
    for (std::size_t i = 0; i < 8; ++i) scratch_.state[i][number] = kFirst[i];
  }
  void end(Lane& lane, std::size_t number) {
    unsigned char* const digest = lane.hash->digest();
    for (std::size_t i = 0; i < 8; ++i) {
      const std::uint64_t word = htobe64(scratch_.state[i][number]);
      std::memcpy(digest + i * sizeof word, &word, sizeof word);
    }
    lane.hash->next();
  }

  Scratch scratch_;
};

}  // namespace

std::unique_ptr<Sha512Engine> make_avx2_engine() {
  return __builtin_cpu_supports("avx2") ? std::make_unique<Avx2Engine>() : nullptr;
}

}  // namespace vmail::password

#else

namespace vmail::password {

std::unique_ptr<Sha512Engine> make_avx2_engine() {
  return nullptr;
}

}  // namespace vmail::password

#endif
