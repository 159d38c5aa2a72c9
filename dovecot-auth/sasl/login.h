// LOGIN (draft-murchison-sasl-login): the server asks for user name and password in turn. Obsolete, and still the only
// one that some printers and scanners speak.
#pragma once

#include "dovecot-auth/sasl/mechanism.h"

namespace vmail::auth::sasl {

class Login final : public Mechanism {
 public:
  // An initial response is the user name.
  Step start(std::optional<std::string_view> initial) override;
  Step respond(std::string_view response) override;

 private:
  Step take_user(std::string_view user);

  std::string user_;
};

}  // namespace vmail::auth::sasl
