#include "dovecot-auth/sasl/mechanism.h"

#include "dovecot-auth/sasl/login.h"
#include "dovecot-auth/sasl/plain.h"
#include "dovecot-auth/sasl/scram.h"
#include "shared/base/text.h"

namespace vmail::auth::sasl {

std::unique_ptr<Mechanism> make_mechanism(std::string_view name) {
  if (equal_ignoring_ascii_case(name, "PLAIN")) return std::make_unique<Plain>();
  if (equal_ignoring_ascii_case(name, "LOGIN")) return std::make_unique<Login>();
  if (equal_ignoring_ascii_case(name, kScram) && why_unavailable(kScram).empty()) return make_scram();
  return nullptr;
}

std::string why_unavailable(std::string_view name) {
  return name == kScram ? why_no_scram() : "";
}

}  // namespace vmail::auth::sasl
