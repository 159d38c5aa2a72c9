// The text of a message, part of it in the spool and the rest in memory: written to files, and looked through. From any
// thread; blocks on the disk.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dovecot-lmtp-store/lmtp/header_scanner.h"
#include "dovecot-lmtp-store/message.h"
#include "shared/maildir/files.h"

namespace vmail::store {

// All of `bytes`, however little a write takes. 0 or errno.
int write_all(maildir::Files& files, int file, std::string_view bytes);
// Calls `take` with the pieces of the text in their order until it returns false. 0 or errno.
int read_text(maildir::Files& files, const Message& message, const std::function<bool(std::string_view)>& take);
// The headers and behind them the text; a small message is one write. 0 or errno.
int write_message(maildir::Files& files, int file, const Message& message, std::string_view headers);

// SHA-256 of the text; computed once. Empty when the text could not be read.
std::string digest_of(maildir::Files& files, const Message& message);
// Whether one of its headers is as one of the rules; looked for once.
bool is_spam(maildir::Files& files, const Message& message, const std::vector<lmtp::HeaderRule>& rules);

}  // namespace vmail::store
