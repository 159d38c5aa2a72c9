// What a session asks of the rest of the store, so that its protocol is tested without a database and without a disk.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "dovecot-lmtp-store/message.h"
#include "dovecot-lmtp-store/stored.h"
#include "shared/base/move_only_function.h"
#include "shared/directory/directory.h"

namespace vmail::store {

// Loop thread only. Every `done` is called once, from the loop, never inside the call that it was given to.
class Backend {
 public:
  using Done = MoveOnlyFunction<void(Stored)>;

  virtual ~Backend() = default;

  // As Directory::mailbox with FreshForRefusal.
  virtual directory::Answer<directory::Mailbox> mailbox(std::string_view address,
                                                        directory::Later<directory::Mailbox> later) = 0;
  // Appends to the spool of a message, whose owner leaves it alone until `done`.
  virtual void spool(std::shared_ptr<Message> message, std::string bytes, Done done) = 0;
  // Files a message into a mailbox; `recipient` is the address of RCPT, `path` the mailbox's below the base.
  virtual void deliver(std::shared_ptr<const Message> message, std::string recipient, std::string path, Done done) = 0;
};

}  // namespace vmail::store
