// How full a mailbox is: by its `maildirsize`, or where there is none that can be used, by counting what is in it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "shared/base/clock.h"
#include "shared/base/mutex.h"
#include "shared/base/seeded_hash.h"
#include "shared/maildir/files.h"
#include "shared/maildir/path.h"
#include "shared/maildir/quota_file.h"

namespace vmail::maildir {

// From any thread; blocks on the disk.
class UsageReader {
 public:
  // What is counted at most; more is a fault (EFBIG).
  struct Limits {
    std::size_t messages = 1000000;
    std::size_t folders = 10000;
  };

  // `files` and `clock` outlive it.
  UsageReader(Files& files, const Clock& clock) : UsageReader(files, clock, Limits()) {}
  UsageReader(Files& files, const Clock& clock, Limits limits) : files_(files), clock_(clock), limits_(limits) {}

  // Of the mailbox at `path` (of Layout::path()) below `base`; one that is not there is empty. Nothing when it failed.
  std::optional<Usage> read(const std::string& base, const std::string& path, Fault& fault);
  // By counting alone, in the open folder of the mailbox; `path` is what it is known by.
  std::optional<Usage> count(int mailbox, const std::string& path, Fault& fault);

 private:
  // What was in a folder when it had last changed at `changed`.
  struct Counted {
    ino_t inode = 0;
    std::int64_t changed = 0;  // nanoseconds since 1970
    Usage usage;
  };

  // Adds what is in a folder of messages. 0 or -errno.
  int add(int mailbox, const std::string& path, const std::string& folder, Usage& usage);
  bool recall(const std::string& folder, const Counted& now, Usage& usage);
  void remember(const std::string& folder, const Counted& counted);

  Files& files_;
  const Clock& clock_;
  const Limits limits_;

  Mutex mutex_;
  // By the path of a cur or new: a mailbox is not counted again for each message that comes for it.
  std::unordered_map<std::string, Counted, SeededHash> known_ VMAIL_GUARDED_BY(mutex_);
};

}  // namespace vmail::maildir
