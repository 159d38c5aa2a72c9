#include "dovecot-lmtp-store/local_backend.h"

#include <cerrno>

#include "shared/runtime/log.h"

namespace vmail::store {

LocalBackend::LocalBackend(Loop& loop, directory::Directory& directory, Delivery& delivery, WorkerPool& disk)
    : loop_(loop), directory_(directory), delivery_(delivery), disk_(disk) {}

directory::Answer<directory::Mailbox> LocalBackend::mailbox(std::string_view address,
                                                            directory::Later<directory::Mailbox> later) {
  // A refusal bounces the mail for good: it may not rest on a row that was read long ago.
  return directory_.mailbox(address, directory::Freshness::FreshForRefusal, std::move(later));
}

void LocalBackend::spool(std::shared_ptr<Message> message, std::string bytes, Done done) {
  run([this, message = std::move(message), bytes = std::move(bytes)] { return delivery_.spool(message->spool, bytes); },
      std::move(done));
}

void LocalBackend::deliver(std::shared_ptr<const Message> message, std::string recipient, std::string path, Done done) {
  run([this, message = std::move(message), recipient = std::move(recipient),
       path = std::move(path)] { return delivery_.deliver(*message, recipient, path); },
      std::move(done));
}

void LocalBackend::run(MoveOnlyFunction<Stored()> work, Done done) {
  const auto shared = std::make_shared<Done>(std::move(done));
  const bool taken = disk_.submit([this, work = std::move(work), shared](std::size_t) mutable {
    const Stored stored = work();
    work = nullptr;  // the message may be the worker's last: its spool is closed here, not on the loop
    loop_.post([shared = std::move(shared), stored] { (*shared)(stored); });
  });
  if (taken) return;
  log::error("too many deliveries wait for the disk: find out what holds it up, or raise store.disk_threads");
  loop_.post([shared] { (*shared)({EBUSY, {}, {}}); });
}

}  // namespace vmail::store
