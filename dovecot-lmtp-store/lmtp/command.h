// LMTP commands (RFC 2033, RFC 5321 section 4.1; BDAT RFC 3030, STARTTLS RFC 3207, XFORWARD by Postfix's
// XFORWARD_README; parameters RFC 1870, 6152, 6531, 3461, 4954). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dovecot-lmtp-store/lmtp/reply.h"

namespace vmail::lmtp {

enum class Verb { Lhlo, Helo, Mail, Rcpt, Data, Bdat, Rset, Noop, Vrfy, Help, Quit, StartTls, XForward, Unknown };

struct Command {
  Verb verb = Verb::Unknown;  // HELO and EHLO are both Helo
  std::string name;           // LHLO: what the peer calls itself; printable ASCII without blanks
  std::string path;  // MAIL, RCPT: "local@domain" as sent, without brackets and source route; empty for "<>" of MAIL
  std::optional<std::uint64_t> size;  // MAIL
  bool smtputf8 = false;              // MAIL
  bool eight_bit = false;             // MAIL: BODY=8BITMIME
  std::uint64_t octets = 0;           // BDAT: that follow
  bool last = false;                  // BDAT
  // XFORWARD: the queue id of the peer, printable ASCII without blanks; empty: it says that it has none. Nothing: it
  // says other things.
  std::optional<std::string> ident;
};

// A line without its CRLF, whole. `error` is set instead when the line is no command of ours or has bad syntax; the
// verb stands then as far as it was understood.
struct Parsed {
  Command command;
  std::optional<Reply> error;
};
Parsed parse_command(std::string_view line);

}  // namespace vmail::lmtp
