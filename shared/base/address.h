// Mail addresses as keys: split, folded, and checked. What is asked of us is whatever an outsider wrote; nothing here
// throws or allocates beyond the address itself.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace vmail {

// RFC 5321 section 4.5.3.1.3 allows 254 octets in a path; Postfix itself takes more, but no mailbox can have them.
inline constexpr std::size_t kMaxAddress = 254;
inline constexpr std::size_t kMaxLocalPart = 64;  // RFC 5321 section 4.5.3.1.1

struct Address {
  std::string local;   // folded, unquoted (the internal form)
  std::string domain;  // folded, as spelled: A-label or U-label

  std::string text() const { return local + '@' + domain; }
  bool operator==(const Address&) const = default;
};

// Splits at the last '@', takes the quotes off a quoted local part and folds both sides. Nothing for a key that can
// name no mailbox: no '@' or more than one outside quotes, an empty side, control characters, bytes that are not UTF-8,
// an address literal, or more than kMaxAddress bytes.
std::optional<Address> parse_address(std::string_view text);
// The same into an address that is used again and again, so that its memory is too. When false, `into` holds nothing
// that means anything.
bool parse_address(std::string_view text, Address& into);

// Splits "user+ext" at the first of `delimiters`; a local part that begins with one is not split (as Postfix's
// split_addr()). `extension` includes the delimiter; it is empty when there is none.
struct LocalPart {
  std::string_view user;
  std::string_view extension;
};
LocalPart split_extension(std::string_view local, std::string_view delimiters);

// What vmailctl takes for a new mailbox or domain; the reason why not, in words, or nothing when it is good.
// A domain may be an A-label or U-label name of at least two labels; a local part is dot-atom text (RFC 5321 section
// 4.1.2, RFC 6531 for UTF-8), because quoted ones break in too many clients and would need escaping in a Maildir path.
std::optional<std::string> why_not_a_domain(std::string_view domain);
std::optional<std::string> why_not_a_local_part(std::string_view local);

}  // namespace vmail
