// What stays free on the volume of the mail: for Dovecot's indexes, for flags that users set, for the administrator who
// has to make room. From any thread; blocks on the disk.
#pragma once

#include <cstdint>

#include "shared/maildir/files.h"
#include "shared/maildir/path.h"

namespace vmail::store {

struct Reserve {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

// Whether a message of `size` bytes leaves the reserve untouched; `base` is the open base folder. When it is false,
// fault.error is ENOSPC, or what else it was.
bool has_room(maildir::Files& files, int base, const Reserve& reserve, std::uint64_t size, maildir::Fault& fault);

}  // namespace vmail::store
