#include "dovecot-auth/accounts.h"

#include <grp.h>
#include <pwd.h>

#include <limits>
#include <optional>
#include <vector>

#include "shared/base/text.h"
#include "shared/config/config.h"

namespace vmail::auth {
namespace {

constexpr std::size_t kEntryBuffer = 65536;  // a group may have many members

// (uid_t)-1 means "leave as it is" to chown(2) and is nobody's number.
template <class Id>
std::optional<Id> numeric_id(const std::string& name) {
  const auto number = parse_number(name);
  if (!number || *number >= std::numeric_limits<Id>::max()) return std::nullopt;
  return static_cast<Id>(*number);
}

[[noreturn]] void no_such(const std::string& setting, const char* what, const std::string& name) {
  throw config::SettingError(setting, std::string("there is no ") + what + " \"" + printable(name) + "\" on this host");
}

gid_t group_id(const std::string& setting, const std::string& name) {
  if (const auto number = numeric_id<gid_t>(name)) return *number;
  std::vector<char> buffer(kEntryBuffer);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    no_such(setting, "group", name);
  }
  return entry.gr_gid;
}

maildir::Layout layout(const std::string& pattern) {
  std::string why;
  const auto layout = maildir::Layout::parse(pattern, why);
  if (!layout) throw config::SettingError("mailboxes.path", '"' + printable(pattern) + "\": " + why);
  return *layout;
}

}  // namespace

uid_t user_id(const std::string& setting, const std::string& name) {
  if (const auto number = numeric_id<uid_t>(name)) return *number;
  std::vector<char> buffer(kEntryBuffer);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    no_such(setting, "user", name);
  }
  return entry.pw_uid;
}

Accounts::Accounts(const config::Settings::Mailboxes& settings)
    : base_(settings.base),
      layout_(layout(settings.path)),
      uid_(user_id("mailboxes.owner", settings.owner)),
      gid_(group_id("mailboxes.group", settings.group)) {}

Outcome<Account> Accounts::account(const directory::Mailbox& mailbox) const {
  const auto path = layout_.path({mailbox.local, mailbox.domain});
  if (!path) {
    return Outcome<Account>::temp_fail("the mailbox " + printable(mailbox.address()) +
                                       " cannot have a folder of its name");
  }
  return Outcome<Account>::found({mailbox.address(), base_ + '/' + *path, uid_, gid_});
}

Outcome<Account> Accounts::account(const Outcome<directory::Mailbox>& mailbox) const {
  if (!mailbox.is_found()) return Outcome<Account>::without_value(mailbox);
  return account(mailbox.value());
}

}  // namespace vmail::auth
