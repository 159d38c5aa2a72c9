// When the snapshot is written and what becomes of it: on a thread of its own, which also destroys what takes long to
// destroy.
#pragma once

#include <memory>
#include <string>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/directory/snapshot.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::directory {

// Loop thread only. Owned by a shared_ptr: what the worker posts holds it weakly.
class Snapshots : public std::enable_shared_from_this<Snapshots> {
 public:
  // Puts together what is to be written, over several turns of the loop if it is much, and calls `done` with it.
  using Gather = MoveOnlyFunction<void(MoveOnlyFunction<void(Snapshot)> done)>;

  // An empty `folder`: nothing is kept.
  Snapshots(Loop& loop, const Clock& clock, const std::string& folder);

  // What there is to start with, or nothing; blocks. One that is damaged or of another database is set aside.
  std::unique_ptr<Snapshot> read(const std::string& database, const std::string& preset, std::size_t max_bytes);
  // Writes one now and then.
  void start(Gather gather);
  // Writes the last one; blocks until the worker has ended.
  void stop(const Snapshot* last);

  // Destroys it away from the loop.
  template <class T>
  void dispose(std::shared_ptr<const T> thing) {
    if (thing) (void)worker_.submit([thing = std::move(thing)](std::size_t) mutable { thing.reset(); });
  }

  WallTime written() const { return written_; }
  const std::string& error() const { return error_; }

 private:
  void next();
  void write(Snapshot snapshot);
  void wrote(const std::string& error);

  Loop& loop_;
  const Clock& clock_;
  const std::string path_;
  Gather gather_;
  WallTime written_{};
  std::string error_;
  bool stopped_ = false;
  Timer timer_;
  WorkerPool worker_{"snapshot", 1, 100, {[](std::size_t) { stand_behind(); }, {}}};
};

}  // namespace vmail::directory
