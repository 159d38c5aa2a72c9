// Gives the disk threads their work mailbox by mailbox: one that is slow or stuck holds a part of the threads, and what
// waits for it waits apart from all others.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>

#include "shared/base/seeded_hash.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::store {

// Loop thread only. It outlives the jobs that it gave to the pool.
class MailboxJobs {
 public:
  using Job = MoveOnlyFunction<void()>;
  using Dropped = MoveOnlyFunction<void(int error)>;
  // That may wait for one mailbox. Postfix has 20 deliveries under way at a time, unless it was told otherwise.
  static constexpr std::size_t kMaxWaiting = 64;

  MailboxJobs(Loop& loop, WorkerPool& pool);

  // Runs `job` on a worker as soon as fewer than a quarter of them work for this mailbox, those before it first; or
  // calls `dropped` once, from the loop, never inside this call: with EAGAIN when too many wait for this mailbox, with
  // EBUSY when too many wait for the disk.
  void submit(const std::string& mailbox, Job job, Dropped dropped);
  // Mailboxes that have work.
  std::size_t busy() const { return mailboxes_.size(); }

 private:
  struct Waiting {
    Job job;
    Dropped dropped;
  };
  struct Mailbox {
    std::size_t running = 0;
    std::deque<Waiting> waiting;
  };

  bool start(const std::string& mailbox, Waiting& next);
  void ended(const std::string& mailbox);
  void drop(Waiting& waiting, int error);

  Loop& loop_;
  WorkerPool& pool_;
  const std::size_t most_running_;
  std::unordered_map<std::string, Mailbox, SeededHash> mailboxes_;
};

}  // namespace vmail::store
