// A SASL mechanism on the server's side, for one exchange: responses in, what to do next out. Pure state machines; they
// decide nothing about a password.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "shared/base/secret.h"

namespace vmail::auth::sasl {

// The client must answer this (may be empty).
struct Challenge {
  std::string text;
};
// The exchange is over; the login is right when this password is.
struct Check {
  std::string user;
  Secret password;
};
// The mechanism goes on with resume(), when the stored keys of this user are known.
struct NeedKeys {
  std::string user;
};
// The exchange is over: whether the client has proved that it knows the password, without sending it.
struct Proven {
  std::string user;
  bool right = false;
};
// The exchange is over and failed for a reason that lies with us: a temporary failure. `why` is for the log.
struct Trouble {
  std::string user;
  std::string why;
};
// The exchange is over and failed; `why` is shown to the person who logs in.
struct Invalid {
  std::string user;  // when it is known
  std::string why;
};
using Step = std::variant<Challenge, Check, NeedKeys, Proven, Trouble, Invalid>;

class Mechanism {
 public:
  virtual ~Mechanism() = default;
  // The first step; `initial` is the initial response (RFC 4954 section 4), which may be empty, or nothing.
  virtual Step start(std::optional<std::string_view> initial) = 0;
  // The client's answer to a Challenge.
  virtual Step respond(std::string_view response) = 0;
  // After NeedKeys: the user's keys, as vmailkit stores them (password::make_scram_sha256()); nullptr: there are none,
  // and the exchange goes on to fail as one with a wrong password does.
  virtual Step resume(const Secret*) { return Trouble{{}, "this mechanism takes no keys"}; }
};

// What can be offered: a mechanism's name, as [auth] mechanisms has it, and why it is not to be had on this host, or
// nothing when it is.
std::string why_unavailable(std::string_view name);

// Nothing for a mechanism that there is not. The name may be in any case, as Dovecot takes it.
std::unique_ptr<Mechanism> make_mechanism(std::string_view name);

}  // namespace vmail::auth::sasl
