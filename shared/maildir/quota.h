// Keeps the `maildirsize` of mailboxes that have a quota, beside Dovecot and by the same rules (Maildir++ quotas;
// Dovecot's quota-maildir.c), and says whether a message may come.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "shared/base/clock.h"
#include "shared/base/mutex.h"
#include "shared/base/quota_limits.h"
#include "shared/base/seeded_hash.h"
#include "shared/maildir/files.h"
#include "shared/maildir/mailbox_usage.h"
#include "shared/maildir/path.h"
#include "shared/maildir/quota_file.h"

namespace vmail::maildir {

enum class Room : unsigned char { Yes, No };

// From any thread; blocks on the disk. What is counted anew holds up the deliveries to that mailbox, and to no other.
class Quota {
 public:
  // `files` and `clock` outlive it.
  Quota(Files& files, const Clock& clock);

  // Whether the mailbox at `path` (of Layout::path()) below the open `base` may take a message of `size` bytes. One
  // that is not there is empty. Its maildirsize is made anew when there is none that can be used, when it was made for
  // other limits or has grown to 5 KiB; before a refusal also when it has more than its first line of sums or is older
  // than 15 minutes. Nothing, and the fault, when it cannot be known. Without limits nothing is looked at.
  std::optional<Room> room(int base, const std::string& path, const QuotaLimits& limits, std::uint64_t size,
                           Fault& fault);

  // To be held from before a message gets its name in the mailbox until added() has returned: what counted it meanwhile
  // would count it twice. Any number of them at a time; waits while the mailbox is counted.
  class Naming {
   public:
    Naming() = default;
    Naming(Naming&& other) noexcept;
    Naming& operator=(Naming&& other) noexcept;
    ~Naming();

   private:
    friend class Quota;
    Naming(Quota& quota, std::string path) : quota_(&quota), path_(std::move(path)) {}
    Quota* quota_ = nullptr;
    std::string path_;
  };
  [[nodiscard]] Naming naming(const std::string& path);

  // Adds what has got its name in the open folder of a mailbox to its maildirsize, if it has one. What it was before
  // and after, for limits and when it can be told.
  struct Change {
    Usage before;
    Usage after;
  };
  std::optional<Change> added(int mailbox, const QuotaLimits& limits, std::uint64_t bytes, std::uint64_t messages = 1);
  // The same for what was taken away again.
  void removed(int mailbox, std::uint64_t bytes, std::uint64_t messages = 1);

  // Counts the mailbox and writes its maildirsize, as room() does when it must. What is in it; nothing, and the fault,
  // when it cannot be counted. That the file cannot be written is no fault: the next one who asks tries again.
  std::optional<Usage> recalculate(int mailbox, const std::string& path, const QuotaLimits& limits, Fault& fault);

 private:
  struct Busy {
    std::size_t namings = 0;
    std::size_t counters = 0;  // that count or wait for it
    bool counting = false;
  };
  class Counting;

  std::optional<Usage> usable(int mailbox, const QuotaLimits& limits, std::uint64_t size) const;
  std::optional<Usage> count_and_write(int mailbox, const std::string& path, const QuotaLimits& limits, Fault& fault);
  void begin_counting(const std::string& path);
  void end_counting(const std::string& path);
  void end_naming(const std::string& path);
  void settle(const std::string& path) VMAIL_REQUIRES(mutex_);

  Files& files_;
  const Clock& clock_;
  UsageReader reader_;

  Mutex mutex_;
  Condition changed_;
  // By path: the mailboxes that somebody is at this moment.
  std::unordered_map<std::string, Busy, SeededHash> busy_ VMAIL_GUARDED_BY(mutex_);
};

}  // namespace vmail::maildir
