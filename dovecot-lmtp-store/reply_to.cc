#include "dovecot-lmtp-store/reply_to.h"

#include <cerrno>

#include "shared/base/text.h"

namespace vmail::store {

using lmtp::Reply;

std::string about(std::string_view address, std::string_view words) {
  return '<' + printable(address) + "> " + std::string(words);
}

Reply reply_to(const Stored& stored, std::string_view address) {
  switch (stored.refusal) {
    case Stored::Refusal::None:
      break;
    case Stored::Refusal::Full:
      return {552, "5.2.2", about(address, "Mailbox is full")};
    case Stored::Refusal::FullForNow:
      return {452, "4.2.2", about(address, "Mailbox is full")};
    case Stored::Refusal::TooBig:
      return {552, "5.3.4", about(address, "Message is too large for this mailbox")};
  }
  switch (stored.error) {
    case 0:
      return {250, "2.0.0", about(address, stored.name + " Saved")};
    case ENOSPC:
      return {452, "4.3.1", about(address, "Disk full")};
    case EDQUOT:
      return {452, "4.2.2", about(address, "Quota of the file system exceeded")};
    case EBUSY:
      return {451, "4.3.2", about(address, "Too busy")};
    default:
      return {451, "4.3.0", about(address, "Temporary internal error")};
  }
}

}  // namespace vmail::store
