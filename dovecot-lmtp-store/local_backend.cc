#include "dovecot-lmtp-store/local_backend.h"

#include <cerrno>

#include "shared/runtime/log.h"

namespace vmail::store {

LocalBackend::LocalBackend(Loop& loop, Recipients& recipients, Delivery& delivery, WorkerPool& disk)
    : loop_(loop), recipients_(recipients), delivery_(delivery), disk_(disk) {}

void LocalBackend::recipient(std::string address, std::uint64_t size, Recipients::Done done) {
  recipients_.find(std::move(address), size, std::move(done));
}

void LocalBackend::spool(std::shared_ptr<Message> message, std::string bytes, Done done) {
  run([this, message = std::move(message), bytes = std::move(bytes)] { return delivery_.spool(message->spool, bytes); },
      std::move(done));
}

void LocalBackend::deliver(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient,
                           Done done) {
  run([this, message = std::move(message),
       recipient = std::move(recipient)] { return delivery_.deliver(*message, recipient->address, recipient->path); },
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
