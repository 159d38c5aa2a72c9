// A bounded pool of threads for what blocks: database calls, hashing, disk. A job owns copies of its inputs and posts
// its result back to the loop; it never holds a session, a socket or a cache entry.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "shared/base/move_only_function.h"
#include "shared/base/mutex.h"

namespace vmail {

// The calling thread gives way to the others from now on: for what takes long and nobody waits for.
void stand_behind();

class WorkerPool {
 public:
  // A job learns which worker (0 to threads-1) runs it, so that state may be kept per worker without locks.
  using Job = MoveOnlyFunction<void(std::size_t worker)>;
  struct Hooks {
    MoveOnlyFunction<void(std::size_t worker)> started;  // first thing on each worker
    MoveOnlyFunction<void(std::size_t worker)> ended;    // last thing on each worker
  };

  // `name` (up to 15 characters) is what `ps -L` and a debugger show. `queue` jobs may wait.
  WorkerPool(const std::string& name, std::size_t threads, std::size_t queue, Hooks hooks = {});
  // stop(), if that has not been done.
  ~WorkerPool();

  // From any thread. False when the queue is full or the pool is stopping: the job is then untouched and will not run.
  [[nodiscard]] bool submit(Job&& job);
  // Runs what is queued, then ends and joins the threads. Not from a worker.
  void stop();
  std::size_t threads() const { return threads_.size(); }
  std::size_t waiting() const;

 private:
  void work(std::size_t worker);

  const std::size_t limit_;
  Hooks hooks_;
  mutable Mutex mutex_;
  Condition ready_;
  std::deque<Job> queue_ VMAIL_GUARDED_BY(mutex_);
  bool stopping_ VMAIL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace vmail
