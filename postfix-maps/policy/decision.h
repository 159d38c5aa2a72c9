// What Postfix is told: whether a login may still send and under which address, who may write to a protected alias,
// what may come from outside and go there, whether a mailbox has room, and whether a limit is reached. Never OK, which
// would skip the restrictions behind us: what is not refused is DUNNO.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "postfix-maps/policy/limits.h"
#include "postfix-maps/policy/recipients.h"
#include "postfix-maps/policy/session.h"
#include "postfix-maps/policy/usage_client.h"
#include "shared/config/settings.h"
#include "shared/directory/deny_list.h"
#include "shared/directory/directory.h"
#include "shared/runtime/log.h"
#include "shared/runtime/metrics.h"

namespace vmail::policy {

// Why a reply is what it is; the words are those of the metrics and of the log.
enum class Reason : unsigned char {
  Pass,
  LoginOff,
  NotOwner,
  ToOutside,
  FromOutside,
  Protected,
  Full,
  LimitWarned,
  LimitHeld,
  LimitDeferred,
  LimitRejected,
  Trouble,  // something could not be found out, and [policy] on_trouble says defer
};
inline constexpr std::size_t kReasons = 12;
const char* word(Reason reason);

// A limit was reached for the first time in its window.
struct LimitReached {
  std::string login;
  std::string limit;
  std::string action;
  std::int64_t used = 0;
};

// Loop thread only.
class Policy final : public Answerer {
 public:
  using Tell = std::function<void(const LimitReached&)>;

  // All of them outlive this; without `usage` no mailbox is full. `tell` may be empty.
  Policy(const Clock& clock, directory::Directory& directory, const directory::DenyList& locked, Limits& limits,
         Usage* usage, const config::Settings::Policy& settings, Tell tell);

  std::optional<Reply> ask(const Request& request, Later later) override;
  void reload(const config::Settings::Policy& settings);
  // Counts there from now on. The registry outlives this.
  void metrics(metrics::Registry& registry);

 private:
  class Check;

  void note(const Check& check, Reason reason, Instant arrival);
  // Something could not be found out; true when that defers the mail.
  bool trouble(const std::string& reason);

  const Clock& clock_;
  directory::Directory& directory_;
  const directory::DenyList& locked_;
  Limits& limits_;
  Usage* const usage_;
  config::Settings::Policy settings_;
  std::vector<config::Limit> default_limits_;
  Tell tell_;
  Recipients recipients_;
  std::array<metrics::Counter*, kReasons> decisions_{};
  metrics::Counter* troubles_ = nullptr;
  metrics::Histogram* time_ = nullptr;
  log::Throttle trouble_log_, value_log_;
};

// What [policy] at_limit says.
Verdict::What at_limit(const config::Settings::Policy& settings);

}  // namespace vmail::policy
