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
// The exchange is over and failed; `why` is shown to the person who logs in.
struct Invalid {
  std::string user;  // when it is known
  std::string why;
};
using Step = std::variant<Challenge, Check, Invalid>;

class Mechanism {
 public:
  virtual ~Mechanism() = default;
  // The first step; `initial` is the initial response (RFC 4954 section 4), which may be empty, or nothing.
  virtual Step start(std::optional<std::string_view> initial) = 0;
  // The client's answer to a Challenge.
  virtual Step respond(std::string_view response) = 0;
};

// Nothing for a mechanism that we do not offer. The name may be in any case, as Dovecot takes it.
std::unique_ptr<Mechanism> make_mechanism(std::string_view name);

}  // namespace vmail::auth::sasl
