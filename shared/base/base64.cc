#include "shared/base/base64.h"

#include <array>
#include <cstdint>

namespace vmail {
namespace {
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> make_values() {
  std::array<std::int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}
constexpr auto kValues = make_values();
}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      word = word << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    text += kAlphabet[word >> 18];
    text += kAlphabet[word >> 12 & 63];
    text += n > 1 ? kAlphabet[word >> 6 & 63] : '=';
    text += n > 2 ? kAlphabet[word & 63] : '=';
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t word = 0;
    int padding = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      const auto value = kValues[static_cast<unsigned char>(c)];
      if (c == '=' && i + 4 == text.size() && k >= 2) {
        ++padding;
        word <<= 6;
      } else if (value >= 0 && padding == 0) {
        word = word << 6 | static_cast<std::uint32_t>(value);
      } else {
        return std::nullopt;
      }
    }
    // The bits that the padding leaves over must be zero, or two texts would mean one value (RFC 4648 section 3.5).
    if ((padding == 1 && (word & 0xff) != 0) || (padding == 2 && (word & 0xffff) != 0)) return std::nullopt;
    bytes += static_cast<char>(word >> 16);
    if (padding < 2) bytes += static_cast<char>(word >> 8 & 0xff);
    if (padding < 1) bytes += static_cast<char>(word & 0xff);
  }
  return bytes;
}

}  // namespace vmail
