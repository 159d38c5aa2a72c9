// What a session asks of the rest of the store, so that its protocol is tested without a database and without a disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "dovecot-lmtp-store/lmtp/reply.h"
#include "dovecot-lmtp-store/message.h"
#include "dovecot-lmtp-store/recipient.h"
#include "dovecot-lmtp-store/stored.h"
#include "shared/base/move_only_function.h"

namespace vmail::store {

// Loop thread only. Every `done` is called once, from the loop, never inside the call that it was given to.
class Backend {
 public:
  using Done = MoveOnlyFunction<void(Stored)>;

  virtual ~Backend() = default;

  // As Recipients::find().
  virtual void recipient(std::string address, std::uint64_t size, Recipients::Done done) = 0;
  // Appends to the spool of a message, whose owner leaves it alone until `done`.
  virtual void spool(std::shared_ptr<Message> message, std::string bytes, Done done) = 0;
  // Files a message into the mailbox of a recipient.
  virtual void deliver(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient,
                       Done done) = 0;
  // Hands it on to Dovecot, whose reply comes back in a form that Postfix takes.
  virtual void hand_over(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient,
                         MoveOnlyFunction<void(lmtp::Reply)> done) = 0;
  // The client has read the replies to the message with this id.
  virtual void confirmed(const std::string& id) = 0;
};

}  // namespace vmail::store
