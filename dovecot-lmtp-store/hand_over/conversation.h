// One message for one recipient, said to Dovecot's LMTP server over its UNIX socket. Blocks.
#pragma once

#include <chrono>
#include <string>

#include "dovecot-lmtp-store/lmtp/reply.h"
#include "dovecot-lmtp-store/message.h"

namespace vmail::store {

struct HandedOver {
  lmtp::Reply reply;    // for our own client
  std::string trouble;  // what an administrator has to look at, in words; empty: nothing
};

// `address` is a path as it stands in RCPT TO, `hostname` our own. Everything together takes no longer than `deadline`.
// A message that nobody waits for any more is not sent to its end, so that Dovecot drops it.
HandedOver hand_over(const std::string& socket, const std::string& hostname, const Message& message,
                     const std::string& address, std::chrono::milliseconds deadline);

}  // namespace vmail::store
