#include "dovecot-auth/sasl/login.h"

namespace vmail::auth::sasl {

Step Login::start(std::optional<std::string_view> initial) {
  if (!initial || initial->empty()) return Challenge{"Username:"};
  return take_user(*initial);
}

Step Login::respond(std::string_view response) {
  if (user_.empty()) return take_user(response);
  return Check{std::move(user_), Secret(response)};
}

Step Login::take_user(std::string_view user) {
  if (user.empty()) return Invalid{{}, "the user name is empty"};
  user_ = user;
  return Challenge{"Password:"};
}

}  // namespace vmail::auth::sasl
