#include "dovecot-lmtp-store/reply_to.h"

#include <cerrno>

#include "shared/base/text.h"

namespace vmail::store {

using lmtp::Reply;

std::string about(std::string_view address, std::string_view words) {
  return '<' + printable(address) + "> " + std::string(words);
}

// Postfix takes 500 to 509 and 555 for errors of the protocol: they have no place here.
Reply reply_to(const Stored& stored) {
  switch (stored.refusal) {
    case Stored::Refusal::None:
      break;
    case Stored::Refusal::Full:
      return {552, "5.2.2", "Mailbox is full"};
    case Stored::Refusal::FullForNow:
      return {452, "4.2.2", "Mailbox is full"};
    case Stored::Refusal::TooBig:
      return {552, "5.3.4", "Message is too large for this mailbox"};
  }
  switch (stored.error) {
    case 0:
      return {250, "2.0.0", stored.name + " Saved"};
    case ENOSPC:
      return {452, "4.3.1", "Disk full"};
    case EDQUOT:
      return {452, "4.2.2", "Quota of the file system exceeded"};
    case EBUSY:
      return {451, "4.3.2", "Too busy"};
    case EAGAIN:
      return {451, "4.3.0", "Too many deliveries to this mailbox at a time"};
    default:
      return {451, "4.3.0", "Temporary internal error"};
  }
}

Reply reply_to(const Stored& stored, std::string_view address, std::string_view queue_id) {
  Reply reply = reply_to(stored);
  if (stored.ok() && !queue_id.empty()) reply.text.insert(0, std::string(queue_id) + ' ');
  reply.text = about(address, reply.text);
  return reply;
}

}  // namespace vmail::store
