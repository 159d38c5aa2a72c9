// The backend of a real store: disk workers for everything that touches files, Dovecot for users with a Sieve script.
#pragma once

#include <memory>
#include <string>

#include "dovecot-lmtp-store/backend.h"
#include "dovecot-lmtp-store/delivery.h"
#include "dovecot-lmtp-store/duplicates.h"
#include "dovecot-lmtp-store/hand_over/hand_over.h"
#include "dovecot-lmtp-store/mailbox_jobs.h"
#include "dovecot-lmtp-store/quota_warnings.h"
#include "shared/runtime/loop.h"

namespace vmail::store {

// Loop thread only. What it is given outlives it and its jobs.
class LocalBackend final : public Backend {
 public:
  // `hand_over` is nullptr where nobody has a script.
  LocalBackend(Loop& loop, Recipients& recipients, Delivery& delivery, MailboxJobs& disk, Duplicates& duplicates,
               QuotaWarnings& warnings, HandOver* hand_over);

  void recipient(std::string address, std::uint64_t size, Recipients::Done done) override;
  void spool(std::shared_ptr<Message> message, std::string bytes, Done done) override;
  void deliver(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient, Done done) override;
  void hand_over(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient,
                 MoveOnlyFunction<void(lmtp::Reply)> done) override;
  void confirmed(const std::string& id) override { duplicates_.confirmed(id); }

 private:
  // `mailbox` is its path.
  void run(const std::string& mailbox, MoveOnlyFunction<Stored()> work, Done done);

  Loop& loop_;
  Recipients& recipients_;
  Delivery& delivery_;
  MailboxJobs& disk_;
  Duplicates& duplicates_;
  QuotaWarnings& warnings_;
  HandOver* const hand_over_;
};

}  // namespace vmail::store
