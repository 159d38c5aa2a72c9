// Small things that several parsers need.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmail {

// Case folding for addresses: ASCII by hand, other letters by simple one-to-one folding of valid UTF-8 (libc's C.UTF-8
// table). Bytes that are not UTF-8 stay as they are.
std::string fold_case(std::string_view text);
// The same into a string that is used again and again, so that its memory is too. `into` is not `text`.
void fold_case(std::string_view text, std::string& into);
bool is_utf8(std::string_view text);
bool equal_ignoring_ascii_case(std::string_view a, std::string_view b);

std::string_view trim(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
// What stands between blanks; none is empty.
std::vector<std::string> words(std::string_view text);

// A decimal number without sign, blanks or leading '+'; nothing on overflow or any other character.
std::optional<std::uint64_t> parse_number(std::string_view digits);

// The bytes as C libraries want them.
inline const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// For logs and replies: control characters and bytes that are not UTF-8 become \xNN, and more than `limit` bytes end
// in "...". What an outsider sends never breaks a log line.
std::string printable(std::string_view text, std::size_t limit = 256);

}  // namespace vmail
