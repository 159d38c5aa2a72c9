// What Dovecot's userdb asks about a mailbox: the place and the owner of its files, from [mailboxes].
#pragma once

#include <sys/types.h>

#include <string>

#include "shared/base/outcome.h"
#include "shared/config/settings.h"
#include "shared/directory/directory.h"
#include "shared/maildir/path.h"

namespace vmail::auth {

struct Account {
  std::string user;  // the mailbox's own address: aliases of the domain followed, no extension
  std::string home;
  uid_t uid = 0;
  gid_t gid = 0;
};

// A value type; from any thread.
class Accounts {
 public:
  // Throws config::Error: an owner or group that does not exist, a path that cannot be one.
  explicit Accounts(const config::Settings::Mailboxes& settings);

  // TempFail for a mailbox whose name cannot be that of a folder.
  Outcome<Account> account(const directory::Mailbox& mailbox) const;
  Outcome<Account> account(const Outcome<directory::Mailbox>& mailbox) const;

 private:
  std::string base_;
  maildir::Layout layout_;
  uid_t uid_;
  gid_t gid_;
};

// A user's name or number as a number. Throws config::Error that names the `setting`.
uid_t user_id(const std::string& setting, const std::string& name);

}  // namespace vmail::auth
