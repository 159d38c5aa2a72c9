// How bytes of hashes are written as text, beside plain base64. Each gives nothing for what is not such a text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vmail::password {

// Both cases, two digits a byte.
std::optional<std::string> decode_hex(std::string_view text);
std::string encode_hex(std::string_view bytes);
// Base64 without the '=' at its end, as Argon2 writes it.
std::optional<std::string> decode_unpadded_base64(std::string_view text);
std::string encode_unpadded_base64(std::string_view bytes);

}  // namespace vmail::password
