// Everything between an address of RCPT and what becomes of its mail: the mailbox, its state and rules, room for the
// message, the script of its owner.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "dovecot-lmtp-store/lmtp/reply.h"
#include "dovecot-lmtp-store/mailbox_jobs.h"
#include "dovecot-lmtp-store/stored.h"
#include "shared/base/move_only_function.h"
#include "shared/base/quota_limits.h"
#include "shared/config/settings.h"
#include "shared/directory/directory.h"
#include "shared/maildir/path.h"
#include "shared/maildir/quota.h"
#include "shared/runtime/log.h"
#include "shared/runtime/loop.h"

namespace vmail::store {

class QuotaStatus;
struct RecipientSettings;

// What RCPT has found out; unchanging from then on, and shared by the jobs of its deliveries.
struct Recipient {
  std::string address;         // as sent
  directory::Mailbox mailbox;  // folded; extension with its delimiter
  std::string path;            // of the mailbox below the base
  std::string detail;          // of user+detail, without the delimiter; empty: none
  bool spam_to_junk = false;
  bool scripted = false;               // its owner has an active Sieve script: handed over to Dovecot
  std::optional<std::string> archive;  // path below the base of the mailbox that gets a copy
  std::uint64_t message_limit = 0;     // bytes; 0: the site's
  QuotaLimits quota;                   // what its mailbox may hold, when the store keeps account of that
  bool full_for_now = true;            // over quota is a temporary failure (452), else a permanent one (552)
};

// Loop thread only. What it is given outlives it and its jobs.
class Recipients {
 public:
  using Found = std::variant<std::shared_ptr<const Recipient>, lmtp::Reply>;
  using Done = MoveOnlyFunction<void(Found)>;
  // On a disk worker, for a message of so many bytes (0: not known): whether mail can be stored at all at this moment.
  // While there is plenty of room, once a second is enough: each delivery finds out for itself.
  using Guard = std::function<Stored(std::uint64_t size)>;

  Recipients(Loop& loop, const Clock& clock, directory::Directory& directory, MailboxJobs& disk, maildir::Quota& quota,
             const config::Settings& settings, const maildir::Layout& layout, Guard guard);
  ~Recipients();

  // `size`: what MAIL said of it, 0 for nothing. `done` is called once, from the loop, never inside this call. A
  // refusal rests on what was read within the last second.
  void find(std::string address, std::uint64_t size, Done done);
  // All but the socket of quota-status.
  void reload(const config::Settings& settings, const maildir::Layout& layout);

 private:
  struct Question;
  using Asked = std::shared_ptr<Question>;

  void take_mailbox(const Asked& question, const Outcome<directory::Mailbox>& outcome);
  bool take_rules(const Asked& question);
  void ask_archive(const Asked& question);
  void take_archive(const Asked& question, const Outcome<directory::Mailbox>& outcome);
  void ask_dovecot(const Asked& question);
  void look_at_disk(const Asked& question);
  void answer(const Asked& question, lmtp::Reply reply);
  void accept(const Asked& question);
  // The value of a rule about the mailbox; nothing when there is none. False: it cannot be used, and was answered.
  bool rule(const Asked& question, directory::RuleKind kind, std::optional<std::string>& value);
  void bad_value(const Asked& question, directory::RuleKind kind, std::string_view value, std::string_view why);

  Loop& loop_;
  const Clock& clock_;
  directory::Directory& directory_;
  MailboxJobs& disk_;
  maildir::Quota& quota_;
  const Guard guard_;
  Instant guarded_until_ = Instant::min();
  const std::string base_;
  std::shared_ptr<const RecipientSettings> settings_;
  std::unique_ptr<QuotaStatus> quota_status_;
  log::Throttle log_;
};

}  // namespace vmail::store
