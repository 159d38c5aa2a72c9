// How much a mailbox may hold, and whether one message more may come: the same for the policy server and the store.
#pragma once

#include <cstdint>

namespace vmail {

struct QuotaLimits {
  std::uint64_t bytes = 0;     // 0: any number of them
  std::uint64_t messages = 0;  // the same

  bool any() const { return bytes != 0 || messages != 0; }
  bool operator==(const QuotaLimits&) const = default;
};

// By so many bytes a mailbox that is not full yet may become too full: the message that warns its owner has room.
inline constexpr std::uint64_t kQuotaGrace = 16u << 10;

// Whether a message of `size` bytes may be added to what is used.
inline bool has_room(const QuotaLimits& limits, std::uint64_t bytes, std::uint64_t messages, std::uint64_t size) {
  if (limits.messages != 0 && messages >= limits.messages) return false;
  if (limits.bytes == 0) return true;
  return bytes < limits.bytes && size <= limits.bytes - bytes + kQuotaGrace;
}

}  // namespace vmail
