// The Dovecot authentication protocol on the server's side, version 1.2, as Postfix speaks it (xsasl_dovecot_server.c)
// and as Dovecot's login processes, Exim and others do (doc.dovecot.org, "Dovecot Authentication Protocol"): bytes in,
// requests out; replies as text. Pure: no descriptor, no clock, no log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "dovecot-auth/wire/line_buffer.h"
#include "shared/base/secret.h"

namespace vmail::auth::postfix {

// Postfix lets a response be as long as its own line limit; Dovecot's limit is 8192 for the whole line.
inline constexpr std::size_t kMaxLine = 16384;

// The data of AUTH's resp= or of CONT, decoded.
struct Response {
  bool is_base64 = true;
  Secret bytes;
};

struct Auth {
  std::uint32_t id = 0;
  std::string mechanism;
  std::string service;    // "smtp" from Postfix
  std::string remote_ip;  // may be empty, like all below
  std::string session;
  std::optional<Response> initial;
};
struct Continue {
  std::uint32_t id = 0;
  Response response;
};
struct Cancel {
  std::uint32_t id = 0;
};
struct NeedMore {};
// Nothing good can follow; `why` holds nothing that the peer sent.
struct Malformed {
  std::string why;
};
using Event = std::variant<NeedMore, Auth, Continue, Cancel, Malformed>;

// Feed bytes, take events until NeedMore. Commands that are not known are passed over, as the protocol asks.
class Decoder {
 public:
  Decoder() : lines_(kMaxLine) {}
  void feed(std::string_view bytes) { lines_.feed(bytes); }
  Event next();
  // Nothing is waiting for the rest of its line.
  bool empty() const { return lines_.empty(); }

 private:
  LineBuffer lines_;
};

// All that a server says before the first request.
std::string handshake(std::uint32_t pid, std::uint64_t connection, std::string_view cookie,
                      const std::vector<std::string>& mechanisms);
std::string ok(std::uint32_t id, std::string_view user);
std::string go_on(std::uint32_t id, std::string_view challenge);
// `user` may be empty: not known. `reason` reaches the person who logs in.
std::string fail(std::uint32_t id, std::string_view user, std::string_view reason);

}  // namespace vmail::auth::postfix
