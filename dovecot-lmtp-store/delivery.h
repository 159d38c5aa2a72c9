// Files messages into Maildirs, so that what was reported as stored survives a power cut.
//
// The order is the promise: the whole text is written and synced, then it gets its name in new/, then new/ is synced,
// and on the first delivery the folders above as well; only then is it stored. A sync that failed is never tried again:
// the file is dropped and the client keeps the message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

#include "dovecot-lmtp-store/message.h"
#include "dovecot-lmtp-store/stored.h"
#include "shared/base/mutex.h"
#include "shared/base/seeded_hash.h"
#include "shared/maildir/files.h"
#include "shared/maildir/names.h"
#include "shared/maildir/path.h"

namespace vmail::store {

// From any thread; all but forget() block on the disk.
class Delivery {
 public:
  // `files` and `clock` outlive it. `hostname` stands in file names and Received headers.
  Delivery(maildir::Files& files, const Clock& clock, std::string base, std::string hostname);

  // Files `message`, which came for `recipient`, into the mailbox at `path` (of Layout::path()). Nothing half-written
  // stays behind. Writes one line to the log.
  Stored deliver(const Message& message, const std::string& recipient, const std::string& path);
  // Appends to a spool, made on first use: a file without a name on the file system of the base folder. A failure is
  // written to the log.
  Stored spool(Spool& spool, std::string_view bytes);
  // Folders may have been moved or removed: their names are synced again at the next delivery.
  void forget();

  const maildir::Names& names() const { return names_; }

 private:
  // A file that is being written. `folder` is set, and `name` its name there, when it could not be made without one.
  struct Draft {
    UniqueFd file;
    UniqueFd folder;
    std::string name;
  };

  Stored file(const Message& message, const std::string& recipient, const std::string& path);
  UniqueFd open_new(int base, const std::string& path, maildir::Fault& fault);
  Draft create(int base, int new_folder, const std::string& path, maildir::Fault& fault);
  bool write(int file, const Message& message, std::string_view headers, int& error);
  Stored append(Spool& spool, std::string_view bytes);
  // The name it got in new/; empty when it failed.
  std::string publish(const Draft& draft, int new_folder, std::uint64_t size, std::uint64_t vsize, int& error);
  void discard(const Draft& draft);
  Stored failed(const maildir::Fault& fault) const;

  maildir::Files& files_;
  const Clock& clock_;
  const std::string base_;
  const std::string hostname_;
  maildir::Names names_;

  Mutex mutex_;
  // Mailboxes whose way from the base is on disk. That a folder is there proves nothing: whoever made it may have been
  // killed before its sync, or be about to do it.
  std::unordered_set<std::string, SeededHash> known_ VMAIL_GUARDED_BY(mutex_);
  std::uint64_t forgotten_ VMAIL_GUARDED_BY(mutex_) = 0;  // how often known_ has lost something
};

// What an administrator needs to read about a failure below `base`: what is wrong with which path, who should own it,
// what to do.
std::string explain(const std::string& base, const Stored& stored);

}  // namespace vmail::store
