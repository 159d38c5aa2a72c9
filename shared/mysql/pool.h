// Questions to the database, asked from the loop and answered on the loop: a few worker threads, each with a connection
// of its own, a deadline per question, a list of hosts that several pools share.
//
// The deadline is a timer on the loop. When it fires, the question is answered TempFail at that moment, and the worker
// that still waits for the server (an orphan) has its socket shut down under it. With several hosts each try has a
// share of that time: when it is over, and the host has answered nothing else of this pool meanwhile, the host counts
// as failed, all who wait for it are interrupted in the same way, and their questions are asked of the next host.
// Errors that say that a host cannot serve do the same at once. A single host is asked once more, when the connection
// was one that may have been closed while it was idle. Nothing here blocks the loop but stop().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"
#include "shared/mysql/connection.h"
#include "shared/mysql/hosts.h"
#include "shared/runtime/loop.h"

namespace vmail::mysql {

// Loop thread only.
class Pool {
 public:
  struct Limits {
    std::size_t threads = 4;
    std::size_t queue = 1000;  // questions that wait for a worker; one more is TempFail at once
    bool writes = false;       // a host that is read only is not asked: it is none of these
    bool behind = false;       // its threads give way to the others of the host: stand_behind()
  };
  struct Counters {
    std::uint64_t asked = 0;
    std::uint64_t failed = 0;    // for whatever reason, the next two included
    std::uint64_t orphaned = 0;  // past their deadline
    std::uint64_t refused = 0;   // the queue was full
  };
  // Runs on a worker and may run again (elsewhere, when a host failed), so it reads, or writes what does no harm when
  // it is written twice. Owns copies of all it needs. Throws Error, or any std::exception for data that makes no sense.
  template <class T>
  using Work = MoveOnlyFunction<T(Connection&)>;
  // Runs on the loop, once, never inside ask(): Found, or TempFail with the reason.
  template <class T>
  using Done = MoveOnlyFunction<void(Outcome<T>)>;

  // `loop` and `clock` outlive the pool. Connects when the first question comes. Of `options` all but the hosts counts.
  Pool(Loop& loop, const Clock& clock, std::shared_ptr<Hosts> hosts, Options options, Limits limits);
  ~Pool();

  // `name` (a literal) says in the log which question it is that fails.
  template <class T>
  void ask(const char* name, Instant deadline, Work<T> work, Done<T> done) {
    // Written by the worker before it posts, read by the loop afterwards, or never when the deadline was first.
    auto slot = std::make_shared<std::optional<T>>();
    start(
        name, deadline,
        [slot, work = std::move(work)](Connection& connection) mutable {
          slot->reset();
          slot->emplace(work(connection));
        },
        [slot, done = std::move(done)](const std::string* failure) mutable {
          done(failure != nullptr ? Outcome<T>::temp_fail(*failure) : Outcome<T>::found(std::move(**slot)));
        });
  }

  const Counters& counters() const;
  std::size_t waiting() const;  // questions without an answer so far
  // Answers what is outstanding TempFail, and returns when the workers have ended: at once.
  void stop();

 private:
  struct Question;
  struct Pending;
  struct Front;
  struct Workers;

  void start(const char* name, Instant deadline, MoveOnlyFunction<void(Connection&)> run,
             MoveOnlyFunction<void(const std::string* failure)> done);

  std::shared_ptr<Front> front_;      // loop thread
  std::unique_ptr<Workers> workers_;  // shared with the workers
};

}  // namespace vmail::mysql
