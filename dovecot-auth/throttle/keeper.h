// The throttle of a daemon: its rules from [throttle], its file in the state folder, what vmailctl asks it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "dovecot-auth/throttle/throttle.h"
#include "shared/base/clock.h"
#include "shared/config/settings.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/metrics.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::auth {

Throttle::Rules throttle_rules(const config::Settings::Throttle& settings);

// Loop thread only.
class ThrottleKeeper {
 public:
  // Reads what was kept in `folder` (empty: nothing is kept); a file that cannot be read is worth a warning, and
  // counting begins anew. `worker` writes it once a minute when it has changed. All references outlive this.
  ThrottleKeeper(Loop& loop, const Clock& clock, WorkerPool& worker, const config::Settings::Throttle& settings,
                 const std::string& folder);

  Throttle& throttle() { return throttle_; }
  void reload(const config::Settings::Throttle& settings) { throttle_.set(throttle_rules(settings)); }
  // {"command": "throttle", "action": "show" | "why" | "clear", "name": ADDRESS-OR-IP}: the reply, or nothing for
  // another command.
  std::optional<nlohmann::json> answer_control(const nlohmann::json& request);
  void metrics(metrics::Registry& registry);
  // Writes it for the last time; blocks. After the worker has stopped.
  void stop();

 private:
  void read();
  void wait();
  void write_later();
  void wrote(const std::string& error);

  Loop& loop_;
  const Clock& clock_;
  WorkerPool& worker_;
  const std::string path_;
  Throttle throttle_;
  Timer timer_;
  std::uint64_t written_ = 0;  // changes() of what is in the file
  std::string error_;
};

}  // namespace vmail::auth
