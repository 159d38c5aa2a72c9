// What a delivery has in hand; for delivery.cc and delivery_steps.cc alone.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dovecot-lmtp-store/delivery.h"
#include "shared/base/unique_fd.h"

namespace vmail::store {

inline constexpr mode_t kFileMode = 0600;

// What open(2) answers where O_TMPFILE is not known to the file system or the kernel.
inline bool is_unsupported(int error) {
  return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOENT;
}

// A folder that gets the message.
struct Delivery::Target {
  std::string mailbox;
  std::string folder;  // in it; "" for the inbox
  std::string path;    // both
  UniqueFd new_folder;
  std::vector<UniqueFd> way;  // that is not known to be on disk; the base belongs to it
  std::uint64_t forgotten = 0;

  std::shared_ptr<const UniqueFd> file;
  bool linked = false;  // it is another recipient's too
  bool synced = false;
  // `tmp` is set, and `draft` the name there, when the file could not be made without one.
  UniqueFd tmp;
  std::string draft;
  std::string name;  // in new/, once it has it
};

struct Delivery::Job {
  const Message& message;
  const Recipient& recipient;
  std::shared_ptr<const Filing> filing;
  UniqueFd base;
  bool shares = false;  // its text with other recipients or the archive
  std::string headers;
  lmtp::Sizes head;             // of the headers
  std::vector<Target> targets;  // the mailbox, and the archive
  maildir::Fault fault;
  std::optional<maildir::Quota::Change> change;

  std::uint64_t size() const { return head.size() + message.sizes.size(); }
  std::uint64_t vsize() const { return head.vsize() + message.sizes.vsize(); }
  bool failed(int error, std::string where) {
    fault = {error, std::move(where)};
    return false;
  }
};

}  // namespace vmail::store
