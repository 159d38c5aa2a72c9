// The daemon's side of verify/protocol.h: lines in, requests out; replies as text. Pure: no descriptor, no clock, no
// log.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dovecot-auth/verify/protocol.h"
#include "dovecot-auth/wire/tabs.h"
#include "shared/base/secret.h"

namespace vmail::auth::verify {

struct Request {
  enum class Kind { Verify, Userdb, List, Credentials, Unknown };
  Kind kind = Kind::Unknown;
  std::string user;
  Secret password;  // of Verify
  // Each may be empty.
  std::string service;
  std::string remote_ip;
  std::string session;
  std::string scheme;       // that Dovecot would like for Credentials
  std::uint64_t after = 0;  // of List
};

// `line` without its LF, which must be writable (LineBuffer); it is cut up in place. Too many fields are Unknown.
Request parse_request(std::span<char> line);

struct Reply {
  std::string_view user;
  std::string_view home;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::string_view password;    // {SCHEME}hash; empty: none
  std::string_view allow_nets;  // CIDR, by commas; empty: everywhere
};
// A Secret, since it may hold a hash. The reply is a temporary failure when it would be longer than a line may be.
Secret ok(const Reply& reply);
// The answer to List, as it grows: one line.
class ListReply {
 public:
  ListReply() : writer_(buffer_.data(), buffer_.size()) { writer_.word(protocol::kOk); }
  // False: it does not fit any more, and nothing was added.
  bool add(std::string_view user);
  // `after`: there may be more, to be asked for with it.
  std::string finish(std::optional<std::uint64_t> after);

 private:
  std::array<char, protocol::kMaxLine> buffer_;
  tabs::Writer writer_;
};
std::string no();
std::string temp(std::string_view reason);

}  // namespace vmail::auth::verify
