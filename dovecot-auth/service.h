// vmail-authd as the daemon skeleton sees it: the parts, their sockets, reload and control.
#pragma once

#include <memory>

#include "dovecot-auth/accounts.h"
#include "dovecot-auth/hash_queue.h"
#include "dovecot-auth/login.h"
#include "dovecot-auth/policy-http/session.h"
#include "dovecot-auth/throttle/keeper.h"
#include "dovecot-auth/verify/session.h"
#include "shared/base/clock.h"
#include "shared/daemon/daemon.h"
#include "shared/directory/deny_list.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::auth {

// Loop thread only.
class AuthService final : public daemon::Service {
 public:
  // Throws config::Error when the settings cannot work.
  AuthService(Loop& loop, const config::Settings& settings);

  std::vector<daemon::Endpoint> endpoints() override;
  void reload(const config::Settings& settings) override;
  void metrics(metrics::Registry& registry) override;
  nlohmann::json control(const nlohmann::json& request) override;
  bool control_later(const nlohmann::json& request, daemon::ControlReply& reply) override;
  void stop() override;

 private:
  directory::Answer<directory::Mailbox> mailbox(std::string_view address, directory::Later<directory::Mailbox> later);

  config::Settings settings_;
  SystemClock clock_;
  Accounts accounts_;
  directory::Directory directory_;
  Questions questions_;
  HashQueue hashes_;
  WorkerPool background_;  // what may take its time: new hashes, the throttle's file
  directory::DenyList locked_;
  ThrottleKeeper throttle_;
  Logins logins_;
  verify::Services services_;
  Secret policy_token_;
  policy::Throttling throttling_;
  std::uint64_t connections_ = 0;
};

// What the settings need of this host: users, groups and the password file. Throws config::Error.
void check_settings(const config::Settings& settings);

}  // namespace vmail::auth
