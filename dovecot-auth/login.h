// One login check for all ways in. In this order: the list of locked logins, the throttle, the crowd of strangers, the
// account, its password or app password (remembered for a short while when it was right, else hashed on the hash
// queue), and what the account may be used for. Each attempt leaves one line in the log, those that are turned away in
// a crowd apart, and a refusal leaves the daemon on the tick (tick.h).
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dovecot-auth/access.h"
#include "dovecot-auth/attempt.h"
#include "dovecot-auth/login_log.h"
#include "dovecot-auth/strangers.h"
#include "dovecot-auth/throttle/throttle.h"
#include "dovecot-auth/tick.h"
#include "dovecot-auth/verified.h"
#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"
#include "shared/base/secret.h"
#include "shared/config/settings.h"
#include "shared/directory/deny_list.h"
#include "shared/directory/directory.h"
#include "shared/password/password.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/metrics.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::auth {

class HashQueue;

// The stored keys of a login that proves its password without sending it (SCRAM-SHA-256).
struct Keys {
  directory::Mailbox mailbox;
  Secret scram;  // "iterations,salt,StoredKey,ServerKey"
};

// What directory::Directory does for logins; a seam, so that tests can let it fail. The last three may be empty.
struct Questions {
  std::function<directory::Answer<directory::Credentials>(std::string_view login, directory::Freshness freshness,
                                                          directory::Later<directory::Credentials> later)>
      credentials;
  std::function<directory::Answer<directory::Mailbox>(std::string_view address,
                                                      directory::Later<directory::Mailbox> later)>
      mailbox;
  std::function<void(std::uint64_t after, directory::Later<directory::MailboxPage> later)> mailboxes;
  std::function<void(std::uint64_t app_password, std::string ip)> note_use;
  std::function<void(std::string login, Secret before, Secret after)> replace_hash;
  std::function<void(std::string login, Secret hash, Secret scram)> keep_scram;
};

password::Limits password_limits(const config::Settings::Passwords& settings);

// Loop thread only.
class Logins {
 public:
  // `told` is what a person may be told, a text without a secret, valid during the call: the reason after a right
  // password, else one text for all.
  using Done = MoveOnlyFunction<void(LoginOutcome outcome, std::string_view told)>;
  using Explained = MoveOnlyFunction<void(Explanation)>;

  struct Parts {
    Loop& loop;
    const Clock& clock;
    const Questions& questions;
    HashQueue& hashes;
    WorkerPool& background;  // makes new hashes
    Throttle& throttle;
    const directory::DenyList& locked;
    Paces paces = {};
  };

  // All parts outlive this object, and it outlives what the hash queue and the pool have posted to the loop.
  Logins(const Parts& parts, const config::Settings& settings);
  ~Logins();

  // `done` is called once, from the loop, never inside this call, within kLongest.
  void check(Attempt attempt, Done done);

  // For mechanisms in which no password comes. The keys, once lock and throttle let it; NotFound for a login that is
  // unknown, disabled, locked, stopped or has no keys: the exchange goes on with made-up ones and ends in proven(). Of
  // the attempt only what says who it is; as check() in all else.
  void keys(const Attempt& attempt, MoveOnlyFunction<void(Outcome<Keys>)> done);
  // The end of such an exchange: `right` says whether the client has proved that it knows the password. As check().
  void proven(Attempt attempt, bool right, Done done);

  // What would become of the attempt, and why. It counts for nothing and is not logged.
  void explain(Attempt attempt, Explained done);

  // Also for those who only ask about attempts and report them.
  Throttle& throttle() { return throttle_; }
  const password::Limits& limits() const { return limits_; }

  // The login, or all when it is empty: what was remembered of it is no more.
  void forget(std::string_view address);
  // From the next check on.
  void reload(const config::Settings& settings);
  // Counts there from now on. The registry outlives this.
  void metrics(metrics::Registry& registry);

  // Of the check alone, and with the tick: below what Postfix (10 s) and checkpassword (8 s) wait for us.
  static constexpr auto kDeadline = std::chrono::milliseconds(6500);
  static constexpr auto kLongest = std::chrono::seconds(8);

 private:
  enum class Kind : unsigned char;
  struct Refusal;
  struct Pending;
  using PendingPtr = std::shared_ptr<Pending>;

  PendingPtr begin(Kind kind, Attempt&& attempt);
  void wait(const PendingPtr& pending);
  bool is_malformed(const PendingPtr& pending);
  void admit(const PendingPtr& pending);
  bool is_one_too_many(const PendingPtr& pending);
  bool stopped_here(const PendingPtr& pending);
  bool is_throttled(const PendingPtr& pending, const Throttle::Ruling& ruling);

  void ask(const PendingPtr& pending, directory::Freshness freshness);
  void found(const PendingPtr& pending, Outcome<directory::Credentials> credentials);
  void found_none(const PendingPtr& pending, const char* step, Refusal refusal);
  void found_keys(const PendingPtr& pending);
  void choose(const PendingPtr& pending);
  void hash(const PendingPtr& pending, Secret stored);
  void computed(const PendingPtr& pending);
  std::optional<Denial> denial(const Pending& pending) const;
  void allow(const PendingPtr& pending);
  void upgrade(const Pending& pending);

  bool turn_away(const PendingPtr& pending, const char* step, Refusal refusal);
  void refuse(const PendingPtr& pending, Refusal refusal);
  void fail(const PendingPtr& pending, Cause cause, std::string told, std::string reason);
  PendingPtr end(const PendingPtr& pending);
  // `detail`: the reason for the log; of a login that is right, the label of its app password.
  void finish(const PendingPtr& pending, LoginOutcome outcome, Cause cause, std::string detail, std::string told);
  void finish_test(const PendingPtr& pending, LoginOutcome outcome);

  Loop& loop_;
  const Clock& clock_;
  const Questions& questions_;
  HashQueue& hashes_;
  WorkerPool& background_;
  Throttle& throttle_;
  const directory::DenyList& locked_;
  const Paces paces_;
  config::Settings::Passwords settings_;
  password::Limits limits_;
  std::string dummy_hash_;
  Verified verified_;
  LoginLog log_;
  Strangers strangers_;
  TickQueue tick_;
  std::list<PendingPtr> pending_;
};

}  // namespace vmail::auth
