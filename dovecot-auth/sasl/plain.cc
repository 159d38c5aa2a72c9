#include "dovecot-auth/sasl/plain.h"

namespace vmail::auth::sasl {

Step Plain::start(std::optional<std::string_view> initial) {
  if (!initial) return Challenge{};
  return respond(*initial);
}

Step Plain::respond(std::string_view response) {
  const auto first = response.find('\0');
  const auto second = first == std::string_view::npos ? first : response.find('\0', first + 1);
  if (second == std::string_view::npos || response.find('\0', second + 1) != std::string_view::npos) {
    return Invalid{{}, "the mail program sent a PLAIN response that is not one"};
  }
  const auto authzid = response.substr(0, first);
  const auto authcid = response.substr(first + 1, second - first - 1);
  if (authcid.empty()) return Invalid{{}, "the user name is empty"};
  // RFC 4616 section 2: acting as somebody else needs a right that nobody has here.
  if (!authzid.empty() && authzid != authcid) {
    return Invalid{std::string(authcid), "logging in as another user is not allowed"};
  }
  return Check{std::string(authcid), Secret(response.substr(second + 1))};
}

}  // namespace vmail::auth::sasl
