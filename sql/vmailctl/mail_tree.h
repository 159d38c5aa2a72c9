// The mail of a mailbox as a whole: is there any, move it to the archive, delete it. Stays below mailboxes.base and
// follows no symbolic link. Throws Refusal, and config::Error for settings that cannot work.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "shared/base/address.h"
#include "shared/base/unique_fd.h"
#include "shared/config/settings.h"
#include "shared/maildir/files.h"
#include "shared/maildir/path.h"

namespace vmail::sql {

class MailTree {
 public:
  explicit MailTree(const config::Settings& settings);  // keeps a reference to it

  bool has_place(const Address& address) const { return layout_.path(address).has_value(); }
  // Where it lies or would lie.
  std::string path(const Address& address) const;
  // Refusal when it cannot be known: no base folder (a volume that is not mounted?), no permission.
  bool exists(const Address& address);

  // Its open folder; no descriptor when there is none. Refusal as with exists().
  UniqueFd open(const Address& address);

  // Makes the archive folder if need be, and refuses where a move could not work: called before anything is changed.
  void prepare_archive();
  // Moves the tree and returns where to. Never replaces anything.
  std::string archive(const Address& address);
  // Deletes the tree. An interrupted purge leaves the rest in its place.
  void purge(const Address& address);

 private:
  std::string relative(const Address& address) const;
  UniqueFd open_base();
  // The folder that holds the mailbox's, and its name there; no descriptor when that folder does not exist.
  std::pair<UniqueFd, std::string> open_parent(const Address& address);

  const config::Settings& settings_;
  maildir::RealFiles files_;
  maildir::Layout layout_;
};

}  // namespace vmail::sql
