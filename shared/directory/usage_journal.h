// What logins, domains and networks have sent, as counters that several hosts share: each program writes its own
// totals, and reads the sums of the others. A counter is cut into slots of time; a total of a slot only grows while it
// is written to, and is written whole each time, so that writing it twice, or late, does no harm.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"

namespace vmail::directory {

struct UsageCounter {
  std::string subject;  // "u@d", "@d" or a network
  std::string measure;  // "messages", "recipients", ...
  std::int64_t window;  // seconds
  bool operator==(const UsageCounter&) const = default;

  // Slots are counted from 1970 on. What is used in a window are the totals of this many slots, the present one
  // included: one more than fit, so that no window of that length holds more than was counted.
  static constexpr std::int64_t kSlots = 21;
  std::int64_t slot_length() const { return (window + kSlots - 2) / (kSlots - 1); }
  std::int64_t slot(std::int64_t unix_time) const { return unix_time / slot_length(); }
  std::int64_t first_slot(std::int64_t unix_time) const { return slot(unix_time) - kSlots + 1; }
  // When a slot is in no window any more.
  std::int64_t ends(std::int64_t slot) const { return (slot + kSlots) * slot_length(); }
};

struct UsageQuestion {
  struct Counter {
    UsageCounter counter;
    std::vector<std::pair<std::int64_t, std::int64_t>> totals;  // ours that have changed: slot and amount
    std::int64_t from = 0;                                      // the first slot that is wanted of the others
  };
  std::vector<Counter> counters;
};
// For each counter in the order asked: slot and sum of the others.
using UsageAnswer = std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>>;

// A message that was put on hold because of a limit.
struct HeldMessage {
  std::string host;
  std::string queue_id;
  std::string login;
};

// A seam for tests; SqlUsageJournal is in sql_usage_journal.h. Loop thread only. Each question calls `done` once, from
// the loop, never inside the call, at the latest at `deadline`: Found, or TempFail with the reason.
class UsageJournal {
 public:
  template <class T>
  using Done = MoveOnlyFunction<void(Outcome<T>)>;

  virtual ~UsageJournal() = default;
  // Writes our totals, then reads the sums of the others.
  virtual void exchange(UsageQuestion question, Instant deadline, Done<UsageAnswer> done) = 0;
  // Writes down which messages are held; twice does no harm.
  virtual void hold(std::vector<HeldMessage> messages, Instant deadline, Done<bool> done) = 0;
  // What is outstanding is answered TempFail. Blocks until the workers have ended.
  virtual void stop() = 0;
};

}  // namespace vmail::directory
