// The backend of a real store: the directory for recipients, a pool of disk workers for everything that touches files.
#pragma once

#include <memory>
#include <string>

#include "dovecot-lmtp-store/backend.h"
#include "dovecot-lmtp-store/delivery.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::store {

// Loop thread only. The directory, the delivery and the pool outlive it and the jobs it gave to the pool.
class LocalBackend final : public Backend {
 public:
  LocalBackend(Loop& loop, directory::Directory& directory, Delivery& delivery, WorkerPool& disk);

  directory::Answer<directory::Mailbox> mailbox(std::string_view address,
                                                directory::Later<directory::Mailbox> later) override;
  void spool(std::shared_ptr<Message> message, std::string bytes, Done done) override;
  void deliver(std::shared_ptr<const Message> message, std::string recipient, std::string path, Done done) override;

 private:
  void run(MoveOnlyFunction<Stored()> work, Done done);

  Loop& loop_;
  directory::Directory& directory_;
  Delivery& delivery_;
  WorkerPool& disk_;
};

}  // namespace vmail::store
