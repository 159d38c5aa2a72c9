// What has been sent in the windows of the limits: our own share, exact, and that of other hosts as far as it is known.
// Pure: the time is given, in seconds since 1970, since hosts share the slots. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "shared/base/seeded_hash.h"
#include "shared/directory/usage_journal.h"

namespace vmail::policy {

using directory::UsageCounter;

class Counters {
 public:
  // At most so many counters; one more is not counted.
  explicit Counters(std::size_t limit) : limit_(limit) {}

  // In the window that ends now: ours and what is known of the others. Never below zero.
  std::int64_t used(const UsageCounter& counter, std::int64_t now) const;
  // Whether the others' share has been asked for since there is such a counter.
  bool asked(const UsageCounter& counter) const;
  // Of ours, what the others cannot know yet.
  std::int64_t unwritten(const UsageCounter& counter) const;
  // False when there is no room for another counter.
  bool add(const UsageCounter& counter, std::int64_t amount, std::int64_t now);

  // How many of these recipients (hashes) have not been seen in the window; see() remembers them, up to `most`.
  std::int64_t unseen(const UsageCounter& counter, const std::vector<std::uint64_t>& recipients,
                      std::int64_t now) const;
  void see(const UsageCounter& counter, const std::vector<std::uint64_t>& recipients, std::int64_t now,
           std::size_t most);

  // What is to be written of a counter, and which slots are wanted of the others.
  directory::UsageQuestion::Counter question(const UsageCounter& counter, std::int64_t now) const;
  // The same of up to `most` counters that have something to write.
  directory::UsageQuestion unwritten_question(std::size_t most, std::int64_t now) const;
  // What was asked has been written, and this is the others' share.
  void exchanged(const directory::UsageQuestion& question, const directory::UsageAnswer& answer);

  // Drops what is in no window any more.
  void sweep(std::int64_t now);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Slot {
    std::int64_t own = 0;
    std::int64_t written = 0;  // of own
    std::int64_t others = 0;
  };
  struct Entry {
    UsageCounter counter;
    bool asked = false;
    std::map<std::int64_t, Slot> slots;
    std::unordered_map<std::uint64_t, std::int64_t> seen;  // recipient, and the slot in which it was counted
  };
  const Entry* find(const UsageCounter& counter) const;
  Entry* make(const UsageCounter& counter);
  static bool has_unwritten(const Entry& entry);

  const std::size_t limit_;
  std::unordered_map<std::string, Entry, SeededHash> entries_;
};

}  // namespace vmail::policy
