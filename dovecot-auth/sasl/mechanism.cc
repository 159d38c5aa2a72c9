#include "dovecot-auth/sasl/mechanism.h"

#include "dovecot-auth/sasl/login.h"
#include "dovecot-auth/sasl/plain.h"
#include "shared/base/text.h"

namespace vmail::auth::sasl {

std::unique_ptr<Mechanism> make_mechanism(std::string_view name) {
  if (equal_ignoring_ascii_case(name, "PLAIN")) return std::make_unique<Plain>();
  if (equal_ignoring_ascii_case(name, "LOGIN")) return std::make_unique<Login>();
  return nullptr;
}

}  // namespace vmail::auth::sasl
