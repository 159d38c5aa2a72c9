// The recipients of messages that are still being sent: gathered at each RCPT, needed at the end of the message, where
// Postfix names none of them when there are several. Its `instance` ties the requests of one message together.
// Loop thread only.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/seeded_hash.h"

namespace vmail::policy {

class Recipients {
 public:
  // Bounds: messages at a time, recipients of one. A message that never ends is forgotten after an hour, or when there
  // are too many.
  static constexpr std::size_t kMaxMessages = 10000;
  static constexpr std::size_t kMaxRecipients = 10000;

  // `key` is the recipient as address key; a recipient that is named again counts once.
  void add(std::string_view instance, std::string_view key, Instant now);
  // The hashes of a message's recipients, which are then forgotten. A message that was aborted and begun anew has
  // another instance.
  std::vector<std::uint64_t> take(std::string_view instance);
  std::size_t size() const { return messages_.size(); }

 private:
  struct Message {
    std::string instance;
    Instant last;
    std::vector<std::uint64_t> recipients;
  };
  void expire(Instant now);

  // Hashes of recipients are compared between messages: one key for all.
  HashKey key_ = random_hash_key();
  std::list<Message> messages_;  // the one that was heard of least recently first
  std::unordered_map<std::string, std::list<Message>::iterator, SeededHash, std::equal_to<>> by_instance_;
};

}  // namespace vmail::policy
