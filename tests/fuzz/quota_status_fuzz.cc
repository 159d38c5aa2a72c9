// Replies of Dovecot's quota-status service: room, none, or a reason why that is not known.
#include "dovecot-lmtp-store/quota_status.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;

static vmail::fuzz::Reach reached_room("room");
static vmail::fuzz::Reach reached_full("a full mailbox");
static vmail::fuzz::Reach reached_unknown("a reply that says neither");

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto outcome = vmail::store::parse_quota_status(vmail::fuzz::view(data, size));
  if (outcome.is_temp_fail()) {
    reached_unknown.hit();
    require(!outcome.reason().empty() && outcome.reason().find('\n') == std::string::npos, "the reason is one line");
    return 0;
  }
  require(outcome.is_found(), "there are no other outcomes");
  (outcome.value() ? reached_room : reached_full).hit();
  return 0;
}
