// What our own client is told of what Dovecot's LMTP server has said. Pure.
#pragma once

#include <string>

#include "dovecot-lmtp-store/lmtp/reply.h"

namespace vmail::lmtp {

enum class Stage {
  Session,   // the greeting and LHLO
  Envelope,  // up to the 354 of DATA: Dovecot has not looked at the message yet
  Text,      // behind it: Sieve and the mailbox speak
};

struct Passed {
  Reply reply;
  bool trouble = false;  // it is not what Dovecot said: an administrator has to look
};

// Postfix takes 421 for the end of our connection, and 500 to 509 and 555 for errors of the protocol: none of them is
// passed on. A permanent failure of the envelope is, when it is about the mailbox or the message; that Dovecot does not
// know the recipient, or our commands, is a fault of the site, and no reason to bounce mail for a user who exists.
Passed pass_on(Reply said, Stage stage);

}  // namespace vmail::lmtp
