// What somebody wants to log in with, and what becomes of it.
#pragma once

#include <string>
#include <vector>

#include "shared/base/outcome.h"
#include "shared/base/secret.h"
#include "shared/directory/directory.h"

namespace vmail::auth {

// How the attempt came in. Sasl: one of Postfix's many processes waits for the answer, which may be slowed. Lookup: one
// of Dovecot's few workers waits (checkpassword, Lua, mux), so that it is refused at once.
enum class Way : unsigned char { Sasl, Lookup };

// As the peer sent it.
struct Attempt {
  std::string user;
  Secret password;
  // Each may be empty.
  std::string service;
  std::string remote_ip;
  std::string session;
  Way way = Way::Lookup;
  Secret keys = {};  // for Logins::proven(): those of Logins::keys() that the exchange went by
};

// Found: the login is right, for this mailbox. NotFound: no such account, the wrong password, or it may not log in now.
// Disabled: the account is switched off, whatever the password. Front ends tell the peer neither of the two from the
// other.
using LoginOutcome = Outcome<directory::Mailbox>;

// Why an attempt ended as it did; the words are those of the metrics.
enum class Cause : unsigned char {
  Ok,
  Malformed,  // an empty, over-long or impossible password, or none of the mechanism's
  Locked,
  Throttled,
  Unknown,
  Disabled,
  WrongPassword,
  AppPasswordOnly,  // the main password was right
  Service,
  Network,
  NotYet,
  Expired,
  Database,
  BadData,    // a hash or a rule in the database that cannot be used
  QueueFull,  // too many logins wait for their hash
  Crowded,    // too many strangers guess (strangers.h)
  Deadline,
};
inline constexpr std::size_t kCauses = 17;
const char* word(Cause cause);

// What Logins::explain() has to say.
struct Explanation {
  struct Step {
    std::string what;
    bool good;
    std::string text;
  };
  LoginOutcome outcome = LoginOutcome::not_found();
  std::string reason;
  std::vector<Step> steps;
};

}  // namespace vmail::auth
