// Tells users by mail that their mailbox gets full: once whenever it comes to be as full as a percentage of the
// settings says. Loop thread only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dovecot-lmtp-store/recipient.h"
#include "shared/maildir/quota.h"
#include "shared/runtime/notifier.h"

namespace vmail::store {

class QuotaWarnings {
 public:
  // `notifier` outlives it. `percentages`: "80%", as the settings have them.
  QuotaWarnings(Notifier& notifier, const std::vector<std::string>& percentages);

  void reload(const std::vector<std::string>& percentages);
  // What a delivery has made of the mailbox.
  void changed(const Recipient& recipient, const maildir::Quota::Change& change);

 private:
  Notifier& notifier_;
  std::vector<unsigned> percentages_;
};

// The greatest of the percentages that was passed by the change, of bytes or of messages. Pure.
std::optional<unsigned> passed(const std::vector<unsigned>& percentages, const QuotaLimits& limits,
                               const maildir::Quota::Change& change);

}  // namespace vmail::store
