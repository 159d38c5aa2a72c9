// PLAIN, RFC 4616: one response, [authzid] NUL authcid NUL passwd.
#pragma once

#include "dovecot-auth/sasl/mechanism.h"

namespace vmail::auth::sasl {

class Plain final : public Mechanism {
 public:
  Step start(std::optional<std::string_view> initial) override;
  Step respond(std::string_view response) override;
};

}  // namespace vmail::auth::sasl
