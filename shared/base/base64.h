// Base64 (RFC 4648 section 4), strict: padding required, no white space, no other alphabet.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vmail {

std::string base64_encode(std::string_view bytes);
// Nothing when the text is not base64. The empty text decodes to the empty string.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace vmail
