// Looks whether a Maildir is as Dovecot and the store want it, and mends what can be mended. Stays in the mailbox and
// follows no symbolic link. One thread; blocks on the disk.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/quota_limits.h"
#include "shared/maildir/files.h"
#include "shared/maildir/quota_file.h"

namespace vmail::sql {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

struct CheckOptions {
  bool repair = false;
  Owner owner;
  std::optional<QuotaLimits> limits;  // of the mailbox, where it is known
  std::time_t now = 0;
  // Before the messages of a folder, how many there are; and with each of them.
  std::function<void(std::uint64_t count)> more = [](std::uint64_t) {};
  std::function<void()> step = [] {};
};

struct MailboxFinding {
  std::string where;  // below the mailbox, "" for itself
  std::string what;
  bool repaired = false;
};

struct CheckedMailbox {
  maildir::Usage usage;                  // as the names say it, or else the files
  std::vector<MailboxFinding> findings;  // at most kMostFindings
  std::uint64_t left_out = 0;            // findings beyond them
  std::uint64_t unmended = 0;            // of all findings
};
inline constexpr std::size_t kMostFindings = 1000;

// `mailbox`: its open folder.
CheckedMailbox check_mailbox(maildir::Files& files, int mailbox, const CheckOptions& options);

// The parts, pure. What a name says about the message: ",S=" and ",W=".
struct NamedSizes {
  std::optional<std::uint64_t> size;
  std::optional<std::uint64_t> vsize;
};
NamedSizes sizes_in(std::string_view name);
// The name with other sizes where it says any.
std::string with_sizes(std::string_view name, std::uint64_t size, std::uint64_t vsize);

}  // namespace vmail::sql
