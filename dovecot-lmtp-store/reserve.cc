#include "dovecot-lmtp-store/reserve.h"

#include <cerrno>

namespace vmail::store {

bool has_room(maildir::Files& files, int base, const Reserve& reserve, std::uint64_t size, maildir::Fault& fault) {
  if (reserve.bytes == 0 && reserve.inodes == 0) return true;
  maildir::Space space;
  const int asked = files.space(base, space);
  // Written so that no sum can overflow.
  const bool bytes = space.bytes >= reserve.bytes && space.bytes - reserve.bytes >= size;
  const bool inodes = !space.inodes || *space.inodes > reserve.inodes;
  fault = {asked < 0 ? -asked : ENOSPC, {}};
  return asked == 0 && bytes && inodes;
}

}  // namespace vmail::store
