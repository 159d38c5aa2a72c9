#include "postfix-maps/policy/recipients.h"

#include <algorithm>

namespace vmail::policy {
namespace {
constexpr Duration kForgotten = std::chrono::hours(1);
constexpr std::size_t kMaxInstance = 100;  // Postfix's are about 30 bytes
}  // namespace

void Recipients::add(std::string_view instance, std::string_view key, Instant now) {
  if (instance.empty() || instance.size() > kMaxInstance) return;
  auto found = by_instance_.find(instance);
  if (found == by_instance_.end()) {
    expire(now);
    messages_.push_back({std::string(instance), now, {}});
    found = by_instance_.emplace(instance, std::prev(messages_.end())).first;
  } else {
    messages_.splice(messages_.end(), messages_, found->second);
  }
  Message& message = *found->second;
  message.last = now;
  if (message.recipients.size() < kMaxRecipients) message.recipients.push_back(siphash(key_, key));
}

std::vector<std::uint64_t> Recipients::take(std::string_view instance) {
  const auto found = by_instance_.find(instance);
  if (found == by_instance_.end()) return {};
  auto recipients = std::move(found->second->recipients);
  messages_.erase(found->second);
  by_instance_.erase(found);
  std::sort(recipients.begin(), recipients.end());
  recipients.erase(std::unique(recipients.begin(), recipients.end()), recipients.end());
  return recipients;
}

void Recipients::expire(Instant now) {
  while (!messages_.empty() && (messages_.size() >= kMaxMessages || now - messages_.front().last > kForgotten)) {
    by_instance_.erase(messages_.front().instance);
    messages_.pop_front();
  }
}

}  // namespace vmail::policy
