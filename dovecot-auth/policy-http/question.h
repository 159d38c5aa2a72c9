// What Dovecot asks an auth policy server (auth-policy.c of its src/auth; "Authentication Policy" in its manual): JSON
// in the body of a POST, and the answer to it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vmail::auth::policy {

// Of a body. Dovecot's take some 300.
inline constexpr std::size_t kMaxBody = 8192;

struct Question {
  std::string login;
  // A few bits of a hash over user and password: the same for the same wrong password, and no more than that.
  std::string password_hash;
  std::string remote_ip;
  std::string protocol;
  // Of a report.
  bool success = false;
  bool refused_by_policy = false;
  bool trouble = false;  // it failed for another reason than the password (Dovecot 2.4's fail_type "internal")
};

// Nothing for what is no such object; `why` says so in words, and holds nothing that the peer sent.
std::optional<Question> parse_question(std::string_view body, std::string& why);

// The answers: go on, or refuse. `message` is for Dovecot's log.
std::string allowed();
std::string refused(std::string_view message);

}  // namespace vmail::auth::policy
