// How what became of a recipient is told to the client.
#pragma once

#include <string>
#include <string_view>

#include "dovecot-lmtp-store/lmtp/reply.h"
#include "dovecot-lmtp-store/stored.h"

namespace vmail::store {

// "<address> words"; the address is what an outsider wrote.
std::string about(std::string_view address, std::string_view words);

// The end of a delivery, or of what was to come before it; the client's own name for the message stands in what is
// good.
lmtp::Reply reply_to(const Stored& stored, std::string_view address, std::string_view queue_id = {});
// The same without an address: about a message that is not at any mailbox yet.
lmtp::Reply reply_to(const Stored& stored);

}  // namespace vmail::store
