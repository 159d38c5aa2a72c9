// The backend of a real store: a pool of disk workers for everything that touches files.
#pragma once

#include <memory>
#include <string>

#include "dovecot-lmtp-store/backend.h"
#include "dovecot-lmtp-store/delivery.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::store {

// Loop thread only. The recipients, the delivery and the pool outlive it and the jobs it gave to the pool.
class LocalBackend final : public Backend {
 public:
  LocalBackend(Loop& loop, Recipients& recipients, Delivery& delivery, WorkerPool& disk);

  void recipient(std::string address, std::uint64_t size, Recipients::Done done) override;
  void spool(std::shared_ptr<Message> message, std::string bytes, Done done) override;
  void deliver(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient, Done done) override;

 private:
  void run(MoveOnlyFunction<Stored()> work, Done done);

  Loop& loop_;
  Recipients& recipients_;
  Delivery& delivery_;
  WorkerPool& disk_;
};

}  // namespace vmail::store
