// LMTP replies (RFC 2033, RFC 5321 section 4.2, enhanced codes RFC 2034). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vmail::lmtp {

struct Reply {
  int code = 0;
  std::string enhanced;  // "2.1.5"; empty only for the greeting and the reply to LHLO (RFC 2034 section 4)
  std::string text;      // one line; what an outsider wrote may be in it

  bool is_positive() const { return code < 400; }
  bool operator==(const Reply&) const = default;
};

// With its CRLF, always one line of at most 512 octets: control characters of the text are escaped.
std::string format(const Reply& reply);
// "250-first" to "250 last".
std::string format_lhlo(std::string_view hostname, const std::vector<std::string>& keywords);

}  // namespace vmail::lmtp
