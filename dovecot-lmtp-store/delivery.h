// Files messages into Maildirs, so that what was reported as stored survives a power cut.
//
// The order is the promise: the whole text is written, and to the disk; then it gets its name in new/; then file and
// new/ are synced, and on the first delivery the folders above as well; only then is it stored. A sync that failed is
// never tried again: the file is dropped and the client keeps the message. Syncs are shared with other deliveries
// (commit_group.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "dovecot-lmtp-store/commit_group.h"
#include "dovecot-lmtp-store/duplicates.h"
#include "dovecot-lmtp-store/filing.h"
#include "dovecot-lmtp-store/message.h"
#include "dovecot-lmtp-store/recipient.h"
#include "dovecot-lmtp-store/reserve.h"
#include "dovecot-lmtp-store/stored.h"
#include "shared/base/mutex.h"
#include "shared/base/seeded_hash.h"
#include "shared/maildir/files.h"
#include "shared/maildir/names.h"
#include "shared/maildir/path.h"
#include "shared/maildir/quota.h"

namespace vmail::store {

// How the recipients of one message share its text on the disk.
enum class SingleInstance { Off, Reflink, Hardlink };

// Unchanging while the process lives.
struct DeliverySettings {
  maildir::Base base;
  std::string hostname;  // in file names and Received headers
  SingleInstance single_instance = SingleInstance::Off;
  Reserve reserve;
};

// From any thread; all but reload() and forget() block on the disk.
class Delivery {
 public:
  // All that is given by reference outlives it.
  Delivery(maildir::Files& files, const Clock& clock, CommitGroup& commit, maildir::Quota& quota,
           Duplicates& duplicates, DeliverySettings settings, Filing filing);

  // Files `message` into the mailbox of `recipient`, and its copy into the archive. Nothing half-written stays behind,
  // and of the two either both are stored or none. Writes one line to the log.
  Stored deliver(const Message& message, const Recipient& recipient);
  // Appends to a spool, made on first use: a file without a name on the file system of the base folder. A failure is
  // written to the log.
  Stored spool(Spool& spool, std::string_view bytes);
  // Whether mail of so many bytes can be stored at this moment: the volume is there, and has more free than the
  // reserve.
  Stored ready(std::uint64_t size);
  // For the deliveries to come.
  void reload(Filing filing);
  // Folders may have been moved or removed: their names are synced again at the next delivery.
  void forget();

  const maildir::Names& names() const { return names_; }

 private:
  struct Target;
  struct Job;

  std::string key_of(const Message& message, const Recipient& recipient);
  Stored file(const Message& message, const Recipient& recipient);
  void write_log(const Message& message, const Recipient& recipient, const Stored& stored, std::int64_t ms);
  bool open(Job& job, Target& target);
  bool prepare(Job& job, Target& target);
  bool create(Job& job, Target& target);
  bool write(Job& job, Target& target);
  bool write_out(Job& job);
  bool publish(Job& job, Target& target);
  bool sync_names(Job& job);
  void account(Job& job);
  void withdraw(Job& job);
  void unknow(const std::string& path);
  Stored append(Spool& spool, std::string_view bytes);

  maildir::Files& files_;
  const Clock& clock_;
  CommitGroup& commit_;
  maildir::Quota& quota_;
  Duplicates& duplicates_;
  const DeliverySettings settings_;
  maildir::Names names_;

  Mutex mutex_;
  std::shared_ptr<const Filing> filing_ VMAIL_GUARDED_BY(mutex_);
  // Folders whose way from the base is on disk. That a folder is there proves nothing: whoever made it may have been
  // killed before its sync, or be about to do it.
  std::unordered_set<std::string, SeededHash> known_ VMAIL_GUARDED_BY(mutex_);
  std::uint64_t forgotten_ VMAIL_GUARDED_BY(mutex_) = 0;  // how often known_ has lost something
};

// What an administrator needs to read about a failure below `base`: what is wrong with which path, who should own it,
// what to do.
std::string explain(const std::string& base, const Stored& stored);

}  // namespace vmail::store
