// The steps of a check that look at the account: its row, its password, what it may be used for.
#include <optional>
#include <stdexcept>
#include <utility>

#include "dovecot-auth/access.h"
#include "dovecot-auth/hash_queue.h"
#include "dovecot-auth/login.h"
#include "dovecot-auth/login_pending.h"
#include "shared/directory/idn.h"
#include "shared/password/scram.h"
#include "shared/runtime/log.h"

namespace vmail::auth {

using directory::Credentials;
using directory::Freshness;

// ---- The account

void Logins::ask(const PendingPtr& pending, Freshness freshness) {
  pending->fresh = freshness == Freshness::FreshForRefusal;
  if (pending->fresh) pending->forget_account();
  auto answer = questions_.credentials(pending->attempt.user, freshness,
                                       [this, weak = std::weak_ptr(pending)](Outcome<Credentials> credentials) {
                                         if (const auto asked = weak.lock()) found(asked, std::move(credentials));
                                       });
  answer ? found(pending, std::move(*answer)) : wait(pending);
}

void Logins::found(const PendingPtr& pending, Outcome<Credentials> credentials) {
  if (pending->over) return;
  switch (credentials.status()) {
    case Status::Found:
      break;
    case Status::NotFound:
      return found_none(pending, "account", {Cause::Unknown, "no such account"});
    case Status::Disabled:
      return found_none(pending, "account", {Cause::Disabled, "the account is disabled"});
    case Status::TempFail:
      // The database being away is no leave to guess: what did not match counts, though nobody is refused for good.
      if (pending->result && pending->result->verdict == password::Verdict::Mismatch && pending->kind == Kind::Check) {
        throttle_.failed(pending->account, pending->attempt.remote_ip, pending->attempt.password.view(), clock_.now());
      }
      pending->note("account", false, credentials.reason());
      return fail(pending, Cause::Database, credentials.reason(), credentials.reason());
  }
  pending->fresh = pending->fresh || credentials.source() == Source::Database;
  pending->credentials = std::move(credentials).value();

  const std::string mailbox = directory::address_key(pending->credentials->mailbox.address());
  const bool by_another_name = mailbox != directory::address_key(pending->attempt.user);
  pending->note("account", true, "the mailbox is ", mailbox);
  pending->account = mailbox;
  if (by_another_name) {
    if (stopped_here(pending)) return;
    if (is_throttled(pending, throttle_.rule(mailbox, pending->attempt.remote_ip, clock_.now()))) return;
  }
  const bool by_keys = pending->kind == Kind::Keys || pending->kind == Kind::Proof;
  if (const auto none = why_no_password(pending->stored(), by_keys)) {
    // Nobody is refused because of what was remembered.
    if (!pending->fresh) return ask(pending, Freshness::FreshForRefusal);
    return found_none(pending, "password", {none->cause, none->reason});
  }
  if (pending->kind == Kind::Keys) return found_keys(pending);
  choose(pending);
}

// The same work as for an account with a password, so that the time it takes tells nothing.
void Logins::found_none(const PendingPtr& pending, const char* step, Refusal refusal) {
  pending->note(step, false, refusal.reason);
  pending->credentials.reset();
  pending->no_account = std::move(refusal);
  if (pending->kind == Kind::Check) return hash(pending, Secret(dummy_hash_));
  refuse(pending, *pending->no_account);
}

void Logins::found_keys(const PendingPtr& pending) {
  Credentials& credentials = *pending->credentials;
  if (credentials.scram.empty()) return refuse(pending, {Cause::WrongPassword, "no keys are stored for SCRAM"});
  const auto kept = end(pending);
  Keys keys{std::move(credentials.mailbox), std::move(credentials.scram)};
  loop_.post([done = std::move(kept->keys_done), keys = std::move(keys)]() mutable {
    done(Outcome<Keys>::found(std::move(keys)));
  });
}

// ---- The password

void Logins::choose(const PendingPtr& pending) {
  if (pending->kind == Kind::Proof) {
    if (pending->right) return allow(pending);
    if (!pending->fresh) return ask(pending, Freshness::FreshForRefusal);
    const Secret& used = pending->attempt.keys;
    if (!used.empty() && used.view() != pending->credentials->scram.view()) {
      return fail(pending, Cause::Database, "the password has just been changed", "the stored keys have just changed");
    }
    return refuse(pending, {Cause::WrongPassword, "wrong password"});
  }
  const Secret& stored = pending->stored();
  if (pending->result && stored.view() == pending->tried.view()) return computed(pending);
  pending->result.reset();
  if (verified_.has(pending->account, stored, pending->attempt.password, clock_.now())) {
    if (pending->kind == Kind::Check) log_.remembered();
    pending->note("password", true, "right, as it was a moment ago");
    return allow(pending);
  }
  hash(pending, stored.copy());
}

void Logins::hash(const PendingPtr& pending, Secret stored) {
  pending->tried = stored.copy();
  wait(pending);
  const bool taken = hashes_.submit(pending->known, Throttle::source(pending->attempt.remote_ip),
                                    pending->attempt.password.copy(), std::move(stored), limits_, pending->expires,
                                    [this, weak = std::weak_ptr(pending)](password::Result result) {
                                      const auto waiting = weak.lock();
                                      if (!waiting || waiting->over) return;
                                      waiting->result = std::move(result);
                                      computed(waiting);
                                    });
  if (taken) return;
  fail(pending, Cause::QueueFull, kToldBusy, "too many logins wait for their hash (auth.hash_queue)");
}

void Logins::computed(const PendingPtr& pending) {
  const password::Result& result = *pending->result;
  if (result.verdict == password::Verdict::NotComputed) {
    return fail(pending, Cause::QueueFull, kToldBusy, result.reason);
  }
  if (pending->no_account) return refuse(pending, *pending->no_account);
  const bool app = pending->app_password() != nullptr;
  if (result.verdict == password::Verdict::Match) {
    if (pending->kind == Kind::Check) {
      verified_.add(pending->account, pending->stored(), pending->attempt.password, clock_.now());
    }
    pending->note("password", true, app ? "the app password is right" : "the password is right");
    return allow(pending);
  }
  // Nobody is refused because of what was remembered.
  if (!pending->fresh) return ask(pending, Freshness::FreshForRefusal);
  if (result.verdict == password::Verdict::BadData) {
    const std::string reason = "the stored hash cannot be used: " + result.reason;
    pending->note("password", false, reason);
    return fail(pending, Cause::BadData, "the stored password hash cannot be used", reason);
  }
  const char* wrong = app ? "wrong app password" : "wrong password";
  pending->note("password", false, wrong);
  refuse(pending, {Cause::WrongPassword, wrong});
}

// ---- What it may be used for

std::optional<Denial> Logins::denial(const Pending& pending) const {
  const Credentials& credentials = *pending.credentials;
  const Attempt& attempt = pending.attempt;
  const auto* app = pending.app_password();
  if (app == nullptr && credentials.app_passwords_only) {
    return Denial{Cause::AppPasswordOnly, "this account takes app passwords only"};
  }
  const WallTime now = clock_.wall();
  auto denied = why_denied(credentials.access, attempt.service, attempt.remote_ip, now, "this account");
  if (denied || app == nullptr) return denied;
  return why_denied(app->access, attempt.service, attempt.remote_ip, now, "this app password");
}

void Logins::allow(const PendingPtr& pending) {
  const auto denied = denial(*pending);
  if (denied && !pending->fresh) return ask(pending, Freshness::FreshForRefusal);
  if (denied && denied->cause == Cause::BadData) {
    pending->note("access", false, denied->reason);
    return fail(pending, Cause::BadData, "the rules of this account cannot be used", denied->reason);
  }
  if (denied) {
    if (turn_away(pending, "access", {denied->cause, denied->reason, denied->reason})) return;
  } else {
    pending->note("access", true, "it may be used for this");
  }
  if (pending->kind == Kind::Test) return finish_test(pending, LoginOutcome::not_found());
  // It may have been locked while its hash was computed.
  if (stopped_here(pending)) return;

  const Instant now = clock_.now();
  throttle_.succeeded(pending->account, pending->attempt.remote_ip, now);
  // So that it is known by the name that is typed, too.
  if (pending->account != pending->attempt.user) {
    throttle_.succeeded(pending->attempt.user, pending->attempt.remote_ip, now);
  }
  const auto* app = pending->app_password();
  if (app != nullptr && questions_.note_use) questions_.note_use(app->id, pending->attempt.remote_ip);
  if (app == nullptr) upgrade(*pending);
  const std::string label = app == nullptr ? "" : app->label.empty() ? app->selector : app->label;
  finish(pending, LoginOutcome::found(pending->credentials->mailbox), Cause::Ok, label, {});
}

// A hash that is not as the settings want it, and keys that are not there yet, are made now that the password is known.
void Logins::upgrade(const Pending& pending) {
  // Only what was computed just now: not again for each login that is remembered.
  if (pending.kind != Kind::Check || !pending.result) return;
  const auto scheme = password::scheme_to_make(settings_.scheme);
  const password::MakeOptions options{settings_.rounds};
  const bool rehash = settings_.rehash && questions_.replace_hash &&
                      password::needs_rehash(pending.tried.view(), scheme, options, limits_);
  const bool capture = settings_.capture_scram && questions_.keep_scram && pending.credentials->scram.empty();
  if (!rehash && !capture) return;
  auto job = [this, rehash, capture, scheme, options, login = pending.account, before = pending.tried.copy(),
              password = pending.attempt.password.copy()](std::size_t) mutable {
    Secret hash, scram;
    try {
      if (rehash) hash = Secret(password::make(password, scheme, options));
      if (capture) scram = Secret(password::make_scram_sha256(password));
    } catch (const std::invalid_argument&) {
      return;  // a password that the scheme does not take keeps its hash
    } catch (const std::exception& error) {
      return log::warning("login: {} keeps its hash and keys as they are: {}", login, error.what());
    }
    loop_.post([this, login = std::move(login), before = std::move(before), hash = std::move(hash),
                scram = std::move(scram)]() mutable {
      Secret now = hash.empty() ? before.copy() : hash.copy();
      if (!hash.empty()) questions_.replace_hash(login, std::move(before), std::move(hash));
      if (!scram.empty()) questions_.keep_scram(login, std::move(now), std::move(scram));
    });
  };
  if (!background_.submit(std::move(job))) log::debug("login: no new hash is made this time: the worker is busy");
}

}  // namespace vmail::auth
