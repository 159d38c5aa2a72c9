// A received message on its way into mailboxes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "dovecot-lmtp-store/lmtp/data_decoder.h"
#include "shared/base/clock.h"
#include "shared/base/mutex.h"
#include "shared/base/unique_fd.h"

namespace vmail::store {

// The part of a message that is too big for memory: a file without a name. Touched by one thread at a time: the session
// hands it to a worker and waits; once the message is complete it is only read.
struct Spool {
  UniqueFd file;
  std::uint64_t size = 0;
};

// What the disk workers have found out about a message, or made of it, for all its recipients. From any thread.
struct Shared {
  Mutex mutex;
  std::optional<std::string> digest VMAIL_GUARDED_BY(mutex);  // of the text
  std::optional<bool> spam VMAIL_GUARDED_BY(mutex);
  // Its first file, for the others to link to or to share blocks with, and the folders it has a name in.
  std::shared_ptr<const UniqueFd> file VMAIL_GUARDED_BY(mutex);
  std::set<std::string> folders VMAIL_GUARDED_BY(mutex);
};

// Complete and unchanging when jobs get to see it, but for `abandoned` and `shared`; shared by the jobs of its
// recipients.
struct Message {
  std::string id;      // for the log and the Received header
  std::string sender;  // "local@domain", or empty for "<>"
  std::string helo;
  std::string peer;      // "[192.0.2.1]", empty for a UNIX socket
  std::string queue_id;  // the client's own name of it, by XFORWARD; empty: not told
  bool smtputf8 = false;
  bool eight_bit = false;      // BODY=8BITMIME
  bool encrypted = false;      // came over TLS
  std::size_t recipients = 1;  // that were accepted
  WallTime received;

  Spool spool;       // the text begins with this
  std::string tail;  // and goes on with this
  lmtp::Sizes sizes;

  // Set when nobody waits for the answer any more: what has not been filed by then would only be a duplicate.
  std::atomic<bool> abandoned{false};
  mutable Shared shared;
};

// What is written in front of the text: Return-Path, Delivered-To, Received, with LF as line ends. An empty recipient
// leaves out what would tell the copies of a message apart: Delivered-To, and "for" in Received.
std::string headers_for(const Message& message, std::string_view recipient, std::string_view hostname);

}  // namespace vmail::store
