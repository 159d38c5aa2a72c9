// What a login or an app password may be used for: services, networks, and the time. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dovecot-auth/attempt.h"
#include "shared/base/clock.h"
#include "shared/base/secret.h"
#include "shared/directory/directory.h"

namespace vmail::auth {

// The name under which a service is listed: Dovecot's and Postfix's names of it are one ("managesieve" is "sieve",
// "submission" is "smtp").
std::string service_name(std::string_view service);

struct Denial {
  Cause cause;
  std::string reason;  // for the log and, but for BadData, for the person: "may not be used for pop3"
};

// Nothing: it may. A service or an address that the peer did not name is allowed where none are listed. `who` begins
// the reason: "this account", "this app password".
std::optional<Denial> why_denied(const directory::Access& access, std::string_view service, std::string_view remote_ip,
                                 WallTime now, std::string_view who);

// Nothing: `stored`, of the password's column, is one to check by. Empty it is none, but keys may stand alone beside
// it; what begins with '!' or '*', as no hash does, shuts them too (shadow(5)). Behind the '!' there may be a hash,
// which is kept for the day when it is taken away.
std::optional<Denial> why_no_password(const Secret& stored, bool by_keys);

// Which app password of the login this is, by the selector that it begins with ("abcdefgh-xxxx-xxxx-xxxx-xxxx"); its
// hash is still to be checked. nullptr: none of them, so that it may be the main password. Good as long as
// `credentials`.
const directory::AppPassword* find_app_password(const directory::Credentials& credentials, const Secret& password);

}  // namespace vmail::auth
