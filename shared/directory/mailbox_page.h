// The list of all mailboxes, in parts: in the order of their ids, so that the next part begins behind the last.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vmail::directory {

struct MailboxPage {
  struct Entry {
    std::uint64_t id = 0;
    std::string address;  // folded
  };
  std::vector<Entry> mailboxes;
  std::uint64_t last = 0;  // what the next page begins behind
  bool more = false;       // there may be a next page; this one can be empty all the same
};

}  // namespace vmail::directory
