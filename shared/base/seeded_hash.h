// SipHash-2-4 with a key drawn at start: hash tables over addresses that an outsider chooses cannot be flooded with
// collisions (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vmail {

struct HashKey {
  std::uint64_t k0;
  std::uint64_t k1;
};

// From the kernel's random source; one key per process and table is enough.
HashKey random_hash_key();
std::uint64_t siphash(HashKey key, std::string_view text);

// For std::unordered_map with transparent look-up by string_view.
struct SeededHash {
  using is_transparent = void;
  HashKey key = random_hash_key();
  std::size_t operator()(std::string_view text) const { return static_cast<std::size_t>(siphash(key, text)); }
};

}  // namespace vmail
