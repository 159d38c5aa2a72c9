#include "shared/base/seeded_hash.h"

#include <string>
#include <unordered_map>

#include "tests/support/catch.h"

namespace {

// The key and messages of the paper's appendix A and of the authors' vectors.h: key 00 01 .. 0f, message 00 01 .. n-1.
constexpr vmail::HashKey kPublishedKey{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

std::string counting_bytes(std::size_t length) {
  std::string bytes;
  for (std::size_t i = 0; i < length; ++i) bytes += static_cast<char>(i);
  return bytes;
}

}  // namespace

TEST_CASE("siphash gives the published values") {
  // SipHash-2-4, 64 bits, of messages of 0 to 15 bytes, read as little-endian numbers.
  const std::uint64_t published[] = {
      0x726fdb47dd0e0e31u, 0x74f839c593dc67fdu, 0x0d6c8009d9a94f5au, 0x85676696d7fb7e2du,
      0xcf2794e0277187b7u, 0x18765564cd99a68du, 0xcbc9466e58fee3ceu, 0xab0200f58b01d137u,
      0x93f5f5799a932462u, 0x9e0082df0ba9e4b0u, 0x7a5dbbc594ddb9f3u, 0xf4b32f46226bada7u,
      0x751e8fbc860ee5fbu, 0x14ea5627c0843d90u, 0xf723ca908e7af2eeu, 0xa129ca6149be45e5u,
  };
  std::size_t length = 0;
  for (const std::uint64_t expected : published) {
    CAPTURE(length);
    CHECK(vmail::siphash(kPublishedKey, counting_bytes(length)) == expected);
    ++length;
  }
}

TEST_CASE("random hash keys differ") {
  const auto a = vmail::random_hash_key();
  const auto b = vmail::random_hash_key();
  CHECK((a.k0 != b.k0 || a.k1 != b.k1));
}

TEST_CASE("SeededHash serves a map that is asked by string_view") {
  std::unordered_map<std::string, int, vmail::SeededHash, std::equal_to<>> map;
  map.emplace("a@example.org", 1);
  map.emplace("b@example.org", 2);
  CHECK(map.find(std::string_view("b@example.org"))->second == 2);
  CHECK(map.find(std::string_view("c@example.org")) == map.end());
}
