// Dovecot's auth master protocol on the server's side, version 1.1, the part that only reads (auth-master-connection.c
// of its src/auth; doc.dovecot.org, "Dovecot Authentication Protocol", "Server <-> Master"): lines in, requests out;
// replies as text. LMTP, doveadm and quota-status ask by it who a user is. Pure: no descriptor, no clock, no log.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vmail::auth::master {

inline constexpr std::size_t kMaxLine = 8192;

struct Request {
  enum class Kind {
    Nothing,    // a line that asks for nothing, or only the next one does
    User,       // userdb lookup
    Pass,       // passdb lookup, without a password
    List,       // all users
    Refused,    // a request of the protocol that we do not serve
    Malformed,  // nothing good can follow
  };
  Kind kind = Kind::Malformed;
  std::uint32_t id = 0;
  std::string user;  // of User and Pass
  std::string why;   // of Malformed; holds nothing that the peer sent
};

// `line` without its LF, which must be writable (LineBuffer); it is cut up in place.
Request parse_request(std::span<char> line);

// What a server says first.
std::string handshake(std::uint32_t pid);

struct Account {
  std::string_view user;
  std::string_view home;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
};
std::string user(std::uint32_t id, const Account& account);
std::string pass(std::uint32_t id, std::string_view user);
std::string listed(std::uint32_t id, std::string_view user);
// The end of a list; `whole` is false when it broke off.
std::string done(std::uint32_t id, bool whole);
std::string not_found(std::uint32_t id);
// A temporary failure; the reason may reach the user.
std::string fail(std::uint32_t id, std::string_view reason);

}  // namespace vmail::auth::master
