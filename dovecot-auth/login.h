// One login check for all front ends: what the directory knows of the account, its hash computed on the hash pool, one
// line in the log.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "shared/base/outcome.h"
#include "shared/base/secret.h"
#include "shared/config/settings.h"
#include "shared/directory/directory.h"
#include "shared/password/password.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::auth {

// What somebody wants to log in with, as the peer sent it.
struct Attempt {
  std::string user;
  Secret password;
  // For the log; each may be empty.
  std::string service;
  std::string remote_ip;
  std::string session;
};

// Found: the login is right, for this mailbox. NotFound: no such account, or the wrong password. Disabled: the account
// is switched off, whatever the password. Front ends tell the peer neither of the two from the other.
using LoginOutcome = Outcome<directory::Mailbox>;

// The questions of directory::Directory that logins need; a seam, so that tests can let them fail.
struct Questions {
  std::function<directory::Answer<directory::Credentials>(std::string_view login, directory::Freshness freshness,
                                                          directory::Later<directory::Credentials> later)>
      credentials;
  std::function<directory::Answer<directory::Mailbox>(std::string_view address,
                                                      directory::Later<directory::Mailbox> later)>
      mailbox;
};

// The line in the log that each attempt leaves; Logins writes it for those that get as far as a check.
void log_login(const Attempt& attempt, const LoginOutcome& outcome, const std::string& reason);

password::Limits password_limits(const config::Settings::Passwords& settings);

// Loop thread only.
class Logins {
 public:
  using Done = MoveOnlyFunction<void(LoginOutcome)>;

  // `pool` hashes; its queue is the queue of logins. All references must outlive this object, and it must outlive what
  // the pool has posted to the loop.
  Logins(Loop& loop, const Clock& clock, const Questions& questions, WorkerPool& pool,
         const config::Settings::Passwords& settings);
  ~Logins();

  // `done` is called once, from the loop, never inside this call, within kDeadline.
  void check(Attempt attempt, Done done);
  const password::Limits& limits() const { return limits_; }
  // New limits, from the next check on.
  void reload(const config::Settings::Passwords& settings);

  // Below what Postfix (10 s) and checkpassword (8 s) wait for us.
  static constexpr auto kDeadline = std::chrono::seconds(7);

 private:
  struct Pending;
  using PendingPtr = std::shared_ptr<Pending>;

  void ask(const PendingPtr& pending, directory::Freshness freshness);
  void found(const PendingPtr& pending, Outcome<directory::Credentials> credentials);
  // Computes `stored` for the attempt; `refusal` is what the log says of a password that does not match it. One that is
  // `remembered` refuses nobody.
  void hash(const PendingPtr& pending, Secret stored, LoginOutcome if_match, const char* refusal, bool remembered);
  // The end of a login whose hash did not let the user in; one that is remembered is read again first.
  void turn_away(const PendingPtr& pending, LoginOutcome outcome, const std::string& reason, bool remembered);
  void finish(const PendingPtr& pending, LoginOutcome outcome, const std::string& reason);

  Loop& loop_;
  const Clock& clock_;
  const Questions& questions_;
  WorkerPool& pool_;
  password::Limits limits_;
  unsigned long rounds_ = 0;
  std::string dummy_hash_;
  std::list<PendingPtr> pending_;
};

}  // namespace vmail::auth
