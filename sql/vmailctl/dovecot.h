// Dovecot on this host, told by doveadm(1) what has become of logins. Without a doveadm, or while Dovecot does not run,
// there is nobody to tell.
#pragma once

#include <string>
#include <vector>

#include "sql/vmailctl/app.h"

namespace vmail::sql {

// What has changed about logins ("u@d", or "@d" for a whole domain), told to everybody on this host: the daemons, and
// Dovecot, whose cache forgets them. What fails is worth a note, never an error: the change itself was made.
void tell_of_logins(const App& app, const std::vector<std::string>& keys);

// Ends the IMAP and POP3 sessions of a login. What came of it, in words, and whether it was done.
struct Kicked {
  bool done = false;
  std::string how;
};
Kicked kick_sessions(const std::string& login);

}  // namespace vmail::sql
