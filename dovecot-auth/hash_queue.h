// Where passwords wait to be hashed. Bounded; fair between the sources that they come from, and those who are known
// come before strangers; what nobody waits for any more is not hashed. SHA512-CRYPT hashes that wait at the same time
// go side by side through an engine for several (shared/password/sha512_crypt.h); a new one joins as soon as there is
// room, and none waits for others to come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "dovecot-auth/fair_queue.h"
#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/mutex.h"
#include "shared/base/secret.h"
#include "shared/password/password.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::auth {

// Loop thread only, waiting() and threads() apart.
class HashQueue {
 public:
  using Done = MoveOnlyFunction<void(password::Result)>;

  // `limit` jobs may wait beside those that are being hashed. Without threads they wait for ever, which suits tests.
  // The references must outlive this object, and it must outlive what it has posted to the loop; `clock` is read on the
  // threads.
  HashQueue(Loop& loop, const Clock& clock, std::size_t threads, std::size_t limit);
  ~HashQueue();

  // Verifies `password` against `stored`. `done` is called once, from the loop, never inside this call, unless stop()
  // comes first; with NotComputed when the time is over before the hash is done. `source` is whose turn this takes: a
  // network, as text. `known`: it comes before those that are not, but for every fourth.
  //
  // False: the queue is full, and `done` is dropped. But when another source has at least two more waiting than this
  // one, the newest of that is pushed out (NotComputed), and this one is taken; one that is known pushes out any that
  // is not.
  [[nodiscard]] bool submit(bool known, std::string_view source, Secret password, Secret stored,
                            password::Limits limits, Instant expires, Done done);
  // Drops what waits and what is being hashed, and joins the threads.
  void stop();

  std::size_t waiting() const;
  std::size_t threads() const { return pool_.threads(); }

 private:
  struct Job {
    std::uint64_t id;
    Secret password;
    Secret stored;
    password::Limits limits;
    Instant expires;
  };
  class Worker;

  // Of the threads: the next job, waiting for one if `wait`; nothing when there is none, or at the end.
  std::optional<Job> take(bool wait);
  bool stopping() const;
  std::optional<Job> pop() VMAIL_REQUIRES(mutex_);
  std::optional<Job> make_room_for(bool known, std::string_view source) VMAIL_REQUIRES(mutex_);
  std::size_t size() const VMAIL_REQUIRES(mutex_) { return known_.size() + strangers_.size(); }
  // Of any thread: the end of a job.
  void report(std::uint64_t id, password::Result result);

  Loop& loop_;
  const Clock& clock_;
  const std::size_t limit_;
  std::unordered_map<std::uint64_t, Done> done_;  // of the jobs that are not reported; by our own numbers
  std::uint64_t last_id_ = 0;
  mutable Mutex mutex_;
  Condition ready_;
  FairQueue<Job> known_ VMAIL_GUARDED_BY(mutex_), strangers_ VMAIL_GUARDED_BY(mutex_);
  unsigned turn_ VMAIL_GUARDED_BY(mutex_) = 0;
  bool stopping_ VMAIL_GUARDED_BY(mutex_) = false;
  WorkerPool pool_;
};

}  // namespace vmail::auth
