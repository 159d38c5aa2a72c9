// How what became of a recipient is told to the client.
#pragma once

#include <string>
#include <string_view>

#include "dovecot-lmtp-store/lmtp/reply.h"
#include "dovecot-lmtp-store/stored.h"

namespace vmail::store {

// "<address> words"; the address is what an outsider wrote.
std::string about(std::string_view address, std::string_view words);

// The end of a delivery, or of what was to come before it.
lmtp::Reply reply_to(const Stored& stored, std::string_view address);

}  // namespace vmail::store
