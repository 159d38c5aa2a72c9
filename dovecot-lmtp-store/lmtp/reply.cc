#include "dovecot-lmtp-store/lmtp/reply.h"

#include "shared/base/text.h"

namespace vmail::lmtp {
namespace {
constexpr std::size_t kMaxText = 480;  // of the 512 octets of RFC 5321 section 4.5.3.1.5
}

std::string format(const Reply& reply) {
  std::string line = std::to_string(reply.code) + ' ';
  if (!reply.enhanced.empty()) line.append(reply.enhanced) += ' ';
  return line + printable(reply.text, kMaxText) + "\r\n";
}

std::string format_lhlo(std::string_view hostname, const std::vector<std::string>& keywords) {
  std::string out = (keywords.empty() ? "250 " : "250-") + printable(hostname) + "\r\n";
  for (std::size_t i = 0; i < keywords.size(); ++i) {
    out += i + 1 < keywords.size() ? "250-" : "250 ";
    out += keywords[i] + "\r\n";
  }
  return out;
}

}  // namespace vmail::lmtp
