// The daemon's side of verify/protocol.h: lines in, requests out; replies as text. Pure: no descriptor, no clock, no
// log.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/secret.h"

namespace vmail::auth::verify {

struct Request {
  enum class Kind { Verify, Userdb, Credentials, Unknown };
  Kind kind = Kind::Unknown;
  std::string user;
  Secret password;  // of Verify
  // Each may be empty.
  std::string service;
  std::string remote_ip;
  std::string session;
};

// `line` without its LF, which must be writable (LineBuffer); it is cut up in place. Too many fields are Unknown.
Request parse_request(std::span<char> line);

struct Reply {
  std::string_view user;
  std::string_view home;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::string_view password;  // {SCHEME}hash; empty: none
};
// A Secret, since it may hold a hash. The reply is a temporary failure when it would be longer than a line may be.
Secret ok(const Reply& reply);
std::string no();
std::string temp(std::string_view reason);

}  // namespace vmail::auth::verify
