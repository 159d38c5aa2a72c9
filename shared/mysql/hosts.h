// Which database host to try next: a list shared by all workers of a pool, with a back-off per host that doubles and is
// jittered. Logs once when a host fails and once when it works again.
#pragma once

#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/mutex.h"
#include "shared/mysql/connection.h"

namespace vmail::mysql {

// From any thread.
class Hosts {
 public:
  // `user` is for the log. `clock` must outlive this.
  Hosts(const Clock& clock, std::vector<Host> hosts, std::string user, Duration retry_after, Duration retry_after_max);

  std::size_t size() const { return states_.size(); }
  const Host& operator[](std::size_t index) const { return states_[index].host; }

  // The first host in their order that is not in `tried` and not to be left alone. When all are down there is nothing
  // to lose by asking, and an administrator waits: then one worker may try one host each `retry_after`, however long
  // the back-offs have become. A host that failed before is given to one worker at a time.
  std::optional<std::size_t> pick(const std::vector<bool>& tried);
  void failed(std::size_t index, const std::string& reason);
  void works(std::size_t index);
  // Why the last host that failed did so; empty when none has.
  std::string last_failure() const;

 private:
  struct State {
    Host host;
    bool down = false;
    unsigned failures = 0;  // one after the other
    Instant not_before{};   // while another host works
    Instant probe_after{};  // while none does
    Instant down_since{};
    bool logged = false;  // its failure was
    Instant last_logged{};
  };
  Duration jittered(Duration time) VMAIL_REQUIRES(mutex_);
  void claim(State& state, Instant now) VMAIL_REQUIRES(mutex_);

  const Clock& clock_;
  const std::string user_;
  const Duration retry_after_;
  const Duration retry_after_max_;
  mutable Mutex mutex_;
  std::vector<State> states_;  // the hosts in it are constant, the rest is guarded by mutex_
  std::string last_failure_ VMAIL_GUARDED_BY(mutex_);
  std::minstd_rand random_ VMAIL_GUARDED_BY(mutex_);
};

}  // namespace vmail::mysql
