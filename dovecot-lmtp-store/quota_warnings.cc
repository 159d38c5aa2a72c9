#include "dovecot-lmtp-store/quota_warnings.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::store {
namespace {

// Without the product, which could be more than fits.
std::uint64_t part_of(std::uint64_t limit, unsigned percentage) {
  return limit / 100 * percentage + limit % 100 * percentage / 100;
}

bool passes(std::uint64_t limit, unsigned percentage, std::uint64_t before, std::uint64_t after) {
  const std::uint64_t mark = part_of(limit, percentage);
  return limit != 0 && before < mark && after >= mark;
}

std::string size_text(std::uint64_t bytes) {
  constexpr double kMega = 1 << 20;
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / kMega);
}

}  // namespace

std::optional<unsigned> passed(const std::vector<unsigned>& percentages, const QuotaLimits& limits,
                               const maildir::Quota::Change& change) {
  std::optional<unsigned> greatest;
  for (const unsigned percentage : percentages) {
    const bool now = passes(limits.bytes, percentage, change.before.bytes, change.after.bytes) ||
                     passes(limits.messages, percentage, change.before.messages, change.after.messages);
    if (now) greatest = std::max(greatest.value_or(0), percentage);
  }
  return greatest;
}

QuotaWarnings::QuotaWarnings(Notifier& notifier, const std::vector<std::string>& percentages) : notifier_(notifier) {
  reload(percentages);
}

void QuotaWarnings::reload(const std::vector<std::string>& percentages) {
  percentages_.clear();
  for (const std::string& text : percentages) {
    const auto number = parse_number(std::string_view(text).substr(0, text.find('%')));
    if (number) percentages_.push_back(static_cast<unsigned>(*number));
  }
}

void QuotaWarnings::changed(const Recipient& recipient, const maildir::Quota::Change& change) {
  const auto percentage = passed(percentages_, recipient.quota, change);
  if (!percentage) return;
  const std::string address = recipient.mailbox.address();
  log::info("quota-warning mailbox={} percent={} bytes={} messages={}", printable(address), *percentage,
            change.after.bytes, change.after.messages);
  std::string used;
  if (recipient.quota.bytes != 0) {
    used += fmt::format("  {} of {}\n", size_text(change.after.bytes), size_text(recipient.quota.bytes));
  }
  if (recipient.quota.messages != 0) {
    used += fmt::format("  {} of {} messages\n", change.after.messages, recipient.quota.messages);
  }
  notifier_.send({address}, fmt::format("Your mailbox is {} % full", *percentage),
                 fmt::format("Your mailbox {} is more than {} % full:\n\n{}\n"
                             "When it is full it takes no new mail. Please delete what you do not need any more, and\n"
                             "empty the trash.\n",
                             printable(address), *percentage, used));
}

}  // namespace vmail::store
