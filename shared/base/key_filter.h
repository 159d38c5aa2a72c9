// Tells of most keys that are not in a small set that they are not, from 4 KiB that stay near the processor: a table
// of a thousand keys costs two or three misses of its cache to say so. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vmail {

class KeyFilter {
 public:
  // With more keys than this it is of no use.
  static constexpr std::size_t kKeys = 4096;

  void add(std::uint64_t hash) { bits_[word(hash)] |= bit(hash); }
  // False: certainly not.
  bool may_have(std::uint64_t hash) const { return (bits_[word(hash)] & bit(hash)) != 0; }
  void clear() { bits_ = {}; }

 private:
  // The upper bits of the hash: tables take the lower ones.
  static std::size_t word(std::uint64_t hash) { return hash >> 55; }
  static std::uint64_t bit(std::uint64_t hash) { return std::uint64_t{1} << (hash >> 49 & 63); }

  std::array<std::uint64_t, 512> bits_{};
};

}  // namespace vmail
