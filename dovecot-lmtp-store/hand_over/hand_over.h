// Recipients with a Sieve script are handed over to Dovecot's own LMTP server, one by one, so that nobody loses filters
// or vacation. That server must not send mail back to this one: there is nothing that would end such a circle.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "dovecot-lmtp-store/lmtp/reply.h"
#include "dovecot-lmtp-store/message.h"
#include "dovecot-lmtp-store/recipient.h"
#include "shared/base/move_only_function.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::store {

// Loop thread only.
class HandOver {
 public:
  using Done = MoveOnlyFunction<void(lmtp::Reply)>;
  // Connections to Dovecot at a time; each has a thread that waits for it.
  static constexpr std::size_t kConnections = 16;
  static constexpr std::size_t kMaxWaiting = 1000;

  // `socket` is the path of Dovecot's; `loop` outlives this.
  HandOver(Loop& loop, std::string socket, std::string hostname);

  // `done` is called once, from the loop, never inside this call.
  void send(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient, Done done);
  std::size_t waiting() const { return workers_.waiting(); }
  // Blocks until what has begun has ended.
  void stop() { workers_.stop(); }

 private:
  Loop& loop_;
  const std::string socket_, hostname_;
  WorkerPool workers_;
};

// As whom Dovecot knows the recipient: as sent, which may be in upper case and with an extension, but for an address of
// an alias domain, which Dovecot need not know of.
std::string address_for_dovecot(const Recipient& recipient);

}  // namespace vmail::store
