// What a reply of vmail-authd says (verify/protocol.h), for all that runs inside other programs. libc only.
#pragma once

#include <stddef.h>

#include "dovecot-auth/wire/tabs.h"

namespace vmail::auth::client {

struct Answer {
  enum Status { Ok, No, Temporary };
  Status status;
  size_t fields;       // how many there are; the first is the status itself
  const char* reason;  // of Temporary, in words; within the reply
};

// Cuts a reply up in place.
Answer read_answer(char* reply, size_t size, tabs::Field* fields, size_t max_fields);

}  // namespace vmail::auth::client
