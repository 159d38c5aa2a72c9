// The policy server as a part of vmail-mapd: who decides, what it counts with, and its endpoint.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "postfix-maps/policy/decision.h"
#include "postfix-maps/policy/limits.h"
#include "postfix-maps/policy/usage_client.h"
#include "shared/base/clock.h"
#include "shared/config/settings.h"
#include "shared/daemon/daemon.h"
#include "shared/directory/deny_list.h"
#include "shared/directory/directory.h"
#include "shared/directory/usage_journal.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/metrics.h"
#include "shared/runtime/notifier.h"

namespace vmail::policy {

// Loop thread only.
class PolicyService {
 public:
  // Of all of them but the journal, which it takes over, it is outlived. `directory` may not be asked yet.
  PolicyService(Loop& loop, const Clock& clock, const config::Settings& settings, directory::Directory& directory,
                std::unique_ptr<directory::UsageJournal> journal);

  daemon::Endpoint endpoint();
  // The requests about locked logins; nothing for another.
  std::optional<nlohmann::json> answer_control(const nlohmann::json& request);
  void reload(const config::Settings& settings);
  void metrics(metrics::Registry& registry);
  // After the directory's: what is still out is answered inside this call.
  void stop();

 private:
  void tell(const LimitReached& reached);

  config::Settings::Policy settings_;  // listeners and notify_smtp of the start
  directory::DenyList locked_;
  Notifier notifier_;
  std::unique_ptr<Usage> usage_;
  Limits limits_;
  Policy policy_;
};

}  // namespace vmail::policy
