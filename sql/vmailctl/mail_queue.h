// Postfix's queue on this host, by its own programs: which messages a login has sent, and holding, releasing and
// deleting them. For root.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sql/vmailctl/run_program.h"

namespace vmail::sql {

struct QueuedMessage {
  std::string queue_id;
  std::string queue;  // "active", "deferred", "hold", ...
  std::string sender;
};

// All that is in the queue. Throws Refusal when it cannot be read.
std::vector<QueuedMessage> queued_messages();

// The login that sent each of these messages, as its queue file has it; those that are gone, and those that nobody had
// logged in to send, are left out.
std::map<std::string, std::string> logins_of(const std::vector<std::string>& queue_ids);

// Puts them on hold, wherever they are in the queue; those that have left it are no matter.
void hold_messages(const std::vector<std::string>& queue_ids);
// On one message that is on hold: "-H" releases, "-d" deletes it.
Ran settle_message(const char* flag, const std::string& queue_id);

}  // namespace vmail::sql
