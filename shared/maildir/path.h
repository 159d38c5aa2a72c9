// Where the mailbox of an address lies, so that no address can lead out of the base folder, and how its folders come to
// be. From any thread; blocking file I/O in everything that takes Files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/address.h"
#include "shared/base/unique_fd.h"
#include "shared/maildir/files.h"

namespace vmail::maildir {

// A pattern with each %d replaced by the domain and each %n, or % and anything else, by the local part.
std::string expand(std::string_view pattern, std::string_view local, std::string_view domain);

// The setting mailboxes.path: "%d/%n", with %d for the domain and %n for the local part. A value type.
class Layout {
 public:
  // Nothing when the pattern could lead two addresses to one folder or out of the base; `why` says so in words.
  static std::optional<Layout> parse(std::string_view pattern, std::string& why);

  // The path below the base, "example.com/lisi", of a folded address. Nothing when it cannot be one: a part that is
  // empty, begins with '.' (so "." and ".." too), holds '/', NUL or a control character, or is over 255 bytes.
  std::optional<std::string> path(const Address& address) const;
  // How many folders deep a mailbox lies below the base.
  std::size_t depth() const;

 private:
  explicit Layout(std::string_view pattern) : pattern_(pattern) {}

  std::string pattern_;
};

// What a call failed of: `error` is an errno, `where` the path below the base that it happened at, "" for the base.
struct Fault {
  int error = 0;
  std::string where;
};

// The folder of all Maildirs, and how to know that its volume is mounted: a file of that name must be in it. Empty: it
// is not looked for.
struct Base {
  std::string folder;
  std::string marker;
};

// The base folder is never made: one that is missing is a volume that is not mounted. So is one without its marker:
// fault.error is then ENOMEDIUM, and fault.where the marker.
UniqueFd open_base(Files& files, const Base& base, Fault& fault);
UniqueFd open_base(Files& files, const std::string& base, Fault& fault);
// The mailbox at a path of Layout::path(). No descriptor when it failed; fault.error is ENOENT when there is none.
UniqueFd open_mailbox(Files& files, int base, const std::string& path, Fault& fault);
// The same, after making what is missing of it: the folders on the way, then cur, new and tmp, in the order in which
// Dovecot makes them (it takes tmp as the sign that all are there). A folder that another process made meanwhile is
// success.
UniqueFd make_mailbox(Files& files, int base, const std::string& path, Fault& fault);
// What has to be synced for the names that lead to the mailbox's cur, new and tmp to be on disk: the mailbox and each
// folder above it, deepest first, the base last (which is not opened again and not in here). Empty when it failed.
std::vector<UniqueFd> open_way(Files& files, int base, const std::string& path, Fault& fault);

}  // namespace vmail::maildir
