// Puts files and folders on the disk for all deliveries at a time.
//
// A rule, and no waiting for company: while few are at it, each syncs its own files, at the same time as the others
// (the journal of the file system joins them). From kTogether on, one of them syncs the whole file system for all that
// are waiting, and whoever comes meanwhile shares the next such barrier.
//
// An error of a whole file system is nobody's in particular: all that waited for that barrier are refused, the
// descriptor is given up (the kernel tells an error to each descriptor once), and files are synced one by one until it
// has been opened anew, a minute later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/mutex.h"
#include "shared/base/unique_fd.h"
#include "shared/maildir/files.h"

namespace vmail::store {

// What a 250 stands for: text and name (survives a power cut), the text alone (the name may be lost), or nothing that
// outlives the kernel.
enum class Durability { Full, File, None };

// From any thread; everything blocks on the disk.
class CommitGroup {
 public:
  // Deliveries at a time from which on they share a barrier. Measured: tests/bench, store-barrier.
  static constexpr std::size_t kTogether = 8;
  static constexpr Duration kReopen = std::chrono::minutes(1);

  // Opens `base`, and keeps it open, to see whether its file system can be synced as a whole; where not, all sync by
  // themselves. `files` and `clock` outlive it.
  CommitGroup(maildir::Files& files, const Clock& clock, std::string base, Durability durability,
              std::size_t together = kTogether);

  // What was written to these files is on disk before any name that they get from now on, when it returns 0; else
  // -errno, and nothing is known of any of them. `failed` is the place of the one that it failed at. Not to be repeated
  // on the same descriptors.
  int write_out(const std::vector<int>& files, std::size_t& failed);
  // These files and then the names in these folders, in this order, are on disk; the rest is as above, and `failed`
  // counts through both. A file that has got its name comes with the folder: on some file systems the number of its
  // names, none before, is on disk by its own sync alone.
  int sync(const std::vector<int>& files, const std::vector<int>& folders, std::size_t& failed);

  // How often so far.
  struct Counts {
    std::uint64_t alone = 0;     // calls that synced by themselves
    std::uint64_t barriers = 0;  // syncs of the whole file system
    std::uint64_t shared = 0;    // calls that these were for
    std::uint64_t errors = 0;    // of either kind
    std::size_t waiting = 0;     // calls that wait for a barrier to begin, at this moment
  };
  Counts counts() const;
  // Whether the file system is synced as a whole now, when there is company.
  bool is_sharing() const;

 private:
  enum class State { Gathering, Led, Running, Alone, Done };
  struct Batch {
    State state = State::Gathering;
    std::size_t size = 0;
    int error = 0;
    Condition changed;
  };

  int each(const std::vector<int>& fds, int (maildir::Files::*call)(int), std::size_t& failed);
  // Waits for a barrier. False: the caller is to sync by itself, and then to call end_alone().
  bool share(const std::vector<int>& fds, int& error);
  void end_alone();
  // Lets those that gather go on, when it is time.
  void advance() VMAIL_REQUIRES(mutex_);
  bool is_on_volume(const std::vector<int>& fds) VMAIL_REQUIRES(mutex_);
  bool all_on(std::uint64_t device, const std::vector<int>& fds);
  void open_volume() VMAIL_REQUIRES(mutex_);

  maildir::Files& files_;
  const Clock& clock_;
  const std::string base_;
  const Durability durability_;
  const std::size_t together_;

  mutable Mutex mutex_;
  UniqueFd volume_ VMAIL_GUARDED_BY(mutex_);  // while a barrier runs, only its leader closes it
  std::uint64_t device_ VMAIL_GUARDED_BY(mutex_) = 0;
  Instant reopen_ VMAIL_GUARDED_BY(mutex_);  // not before
  std::size_t alone_ VMAIL_GUARDED_BY(mutex_) = 0;
  bool running_ VMAIL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Batch> gathering_ VMAIL_GUARDED_BY(mutex_);
  Counts counts_ VMAIL_GUARDED_BY(mutex_);
};

}  // namespace vmail::store
