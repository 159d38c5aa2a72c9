#include "dovecot-lmtp-store/local_backend.h"

#include <cassert>
#include <cerrno>
#include <utility>

#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::store {

LocalBackend::LocalBackend(Loop& loop, Recipients& recipients, Delivery& delivery, MailboxJobs& disk,
                           Duplicates& duplicates, QuotaWarnings& warnings, HandOver* hand_over)
    : loop_(loop),
      recipients_(recipients),
      delivery_(delivery),
      disk_(disk),
      duplicates_(duplicates),
      warnings_(warnings),
      hand_over_(hand_over) {}

void LocalBackend::recipient(std::string address, std::uint64_t size, Recipients::Done done) {
  recipients_.find(std::move(address), size, std::move(done));
}

// The spool is in the base folder: it is no mailbox's, and waits for none.
void LocalBackend::spool(std::shared_ptr<Message> message, std::string bytes, Done done) {
  const std::string alone = "spool " + message->id;
  run(
      alone,
      [this, message = std::move(message), bytes = std::move(bytes)] { return delivery_.spool(message->spool, bytes); },
      std::move(done));
}

void LocalBackend::deliver(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient,
                           Done done) {
  const std::string& path = recipient->path;
  run(
      path, [this, message = std::move(message), recipient] { return delivery_.deliver(*message, *recipient); },
      [this, recipient, done = std::move(done)](Stored stored) mutable {
        if (stored.usage) warnings_.changed(*recipient, *stored.usage);
        done(std::move(stored));
      });
}

void LocalBackend::hand_over(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient,
                             MoveOnlyFunction<void(lmtp::Reply)> done) {
  assert(hand_over_ != nullptr);
  hand_over_->send(std::move(message), std::move(recipient), std::move(done));
}

void LocalBackend::run(const std::string& mailbox, MoveOnlyFunction<Stored()> work, Done done) {
  const auto shared = std::make_shared<Done>(std::move(done));
  MailboxJobs::Job job = [this, work = std::move(work), shared]() mutable {
    const Stored stored = work();
    work = nullptr;  // the message may be the worker's last: its spool is closed here, not on the loop
    loop_.post([shared = std::move(shared), stored] { (*shared)(stored); });
  };
  disk_.submit(mailbox, std::move(job), [mailbox, shared](int error) {
    log::error("mailbox={}: too many deliveries wait for {}: find out what holds it up", printable(mailbox),
               error == EBUSY ? "the disk" : "it");
    Stored stored;
    stored.error = error;
    (*shared)(stored);
  });
}

}  // namespace vmail::store
