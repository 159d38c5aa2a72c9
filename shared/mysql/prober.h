// Looks at each host of a list now and then, beside the questions: whether one that failed works again, whether a
// Galera node is synced, which is the nearest. Nothing of it costs a question time, and a list of one host is left
// alone.
#pragma once

#include <memory>

#include "shared/base/clock.h"
#include "shared/mysql/connection.h"
#include "shared/mysql/hosts.h"
#include "shared/runtime/loop.h"

namespace vmail::mysql {

// Loop thread only.
class Prober {
 public:
  // Begins; with a thread and a connection for each host. `loop` and `clock` outlive it.
  Prober(Loop& loop, const Clock& clock, std::shared_ptr<Hosts> hosts, Options options);
  ~Prober();  // stop(), if that has not been done
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vmail::mysql
