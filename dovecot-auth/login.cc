#include "dovecot-auth/login.h"

#include <utility>

#include "dovecot-auth/login_pending.h"
#include "shared/directory/idn.h"

namespace vmail::auth {

password::Limits password_limits(const config::Settings::Passwords& settings) {
  password::Limits limits;
  limits.max_length = settings.max_length;
  limits.max_rounds = settings.max_rounds;
  limits.allow_weak = settings.allow_weak;
  return limits;
}

Logins::Logins(const Parts& parts, const config::Settings& settings)
    : loop_(parts.loop),
      clock_(parts.clock),
      questions_(parts.questions),
      hashes_(parts.hashes),
      background_(parts.background),
      throttle_(parts.throttle),
      locked_(parts.locked),
      paces_(parts.paces),
      verified_(settings.auth.verified_lifetime),
      tick_(parts.loop, parts.clock) {
  reload(settings);
}

Logins::~Logins() = default;

void Logins::reload(const config::Settings& settings) {
  const bool new_rounds = dummy_hash_.empty() || settings_.rounds != settings.passwords.rounds;
  settings_ = settings.passwords;
  limits_ = password_limits(settings_);
  verified_.set_lifetime(settings.auth.verified_lifetime);
  if (new_rounds) dummy_hash_ = password::make_dummy_hash(settings_.rounds);
}

void Logins::metrics(metrics::Registry& registry) {
  log_.metrics(registry);
}

void Logins::forget(std::string_view address) {
  address.empty() ? verified_.clear() : verified_.forget(directory::address_key(address));
}

// ---- Ways in

void Logins::check(Attempt attempt, Done done) {
  const auto pending = begin(Kind::Check, std::move(attempt));
  pending->done = std::move(done);
  if (!is_malformed(pending)) admit(pending);
}

void Logins::keys(const Attempt& attempt, MoveOnlyFunction<void(Outcome<Keys>)> done) {
  Attempt who;
  who.user = attempt.user;
  who.service = attempt.service;
  who.remote_ip = attempt.remote_ip;
  who.session = attempt.session;
  who.way = attempt.way;
  const auto pending = begin(Kind::Keys, std::move(who));
  pending->keys_done = std::move(done);
  admit(pending);
}

void Logins::proven(Attempt attempt, bool right, Done done) {
  const auto pending = begin(Kind::Proof, std::move(attempt));
  pending->done = std::move(done);
  pending->right = right;
  admit(pending);
}

void Logins::explain(Attempt attempt, Explained done) {
  const auto pending = begin(Kind::Test, std::move(attempt));
  pending->explained = std::move(done);
  if (!is_malformed(pending)) admit(pending);
}

Logins::PendingPtr Logins::begin(Kind kind, Attempt&& attempt) {
  const auto pending = std::make_shared<Pending>(kind, std::move(attempt));
  pending->place = pending_.insert(pending_.end(), pending);
  pending->arrival = clock_.now();
  pending->expires = pending->arrival + kDeadline;
  return pending;
}

// An answer is not to be had at once: from here on the deadline runs.
void Logins::wait(const PendingPtr& pending) {
  if (pending->deadline) return;
  pending->deadline.emplace(loop_).start(pending->expires - clock_.now(), [this, weak = std::weak_ptr(pending)] {
    if (const auto late = weak.lock()) {
      fail(late, Cause::Deadline, "no answer in time", "no answer within 6.5 s: the database or the hashing is slow");
    }
  });
}

// ---- What needs no look at the account

// What the peer sent says it all, and tells nobody anything about an account.
bool Logins::is_malformed(const PendingPtr& pending) {
  const std::string_view secret = pending->attempt.password.view();
  const char* reason = secret.empty()                                ? "empty password"
                       : secret.size() > limits_.max_length          ? "password longer than passwords.max_length"
                       : secret.find('\0') != std::string_view::npos ? "password with a NUL byte"
                                                                     : nullptr;
  if (reason == nullptr) return false;
  pending->note("password", false, reason);
  refuse(pending, {Cause::Malformed, reason});
  return true;
}

void Logins::admit(const PendingPtr& pending) {
  if (stopped_here(pending)) return;
  const Attempt& attempt = pending->attempt;
  const auto ruling = throttle_.rule(pending->account, attempt.remote_ip, clock_.now());
  if (is_throttled(pending, ruling) || is_one_too_many(pending)) return;
  const bool may_wait = pending->kind == Kind::Check || pending->kind == Kind::Keys;
  if (ruling.what != Throttle::Ruling::What::Slow || attempt.way != Way::Sasl || !may_wait) {
    return ask(pending, directory::Freshness::Cached);
  }
  wait(pending);
  pending->timer.emplace(loop_).start(ruling.delay, [this, weak = std::weak_ptr(pending)] {
    const auto slowed = weak.lock();
    if (slowed && !slowed->over) ask(slowed, directory::Freshness::Cached);
  });
}

bool Logins::stopped_here(const PendingPtr& pending) {
  if (!locked_.contains(pending->account)) {
    pending->note("lock", true, "the login is not locked on this host");
    return false;
  }
  return turn_away(pending, "lock", {Cause::Locked, "the login is locked on this host"});
}

bool Logins::is_throttled(const PendingPtr& pending, const Throttle::Ruling& ruling) {
  if (ruling.what == Throttle::Ruling::What::Stop) {
    return turn_away(pending, "throttle",
                     {Cause::Throttled, "throttled: " + ruling.why, "too many failed logins; try again later"});
  }
  pending->known = ruling.known;
  const bool slow = ruling.what == Throttle::Ruling::What::Slow;
  pending->note("throttle", true, slow ? "answers are slowed at the SASL socket" : "nothing holds it up");
  return false;
}

bool Logins::is_one_too_many(const PendingPtr& pending) {
  if (pending->kind != Kind::Check || pending->attempt.way != Way::Lookup || pending->known) return false;
  pending->stranger = strangers_.enter();
  if (pending->stranger) return false;
  fail(pending, Cause::Crowded, kToldBusy, {});  // the line in the log is one for all
  return true;
}

// ---- Ends

// True: that is its end. A test notes it and goes on.
bool Logins::turn_away(const PendingPtr& pending, const char* step, Refusal refusal) {
  pending->note(step, false, refusal.reason);
  if (pending->kind == Kind::Test) {
    if (!pending->first_refusal) pending->first_refusal = std::move(refusal);
    return false;
  }
  refuse(pending, std::move(refusal));
  return true;
}

void Logins::refuse(const PendingPtr& pending, Refusal refusal) {
  const bool off = refusal.cause == Cause::Disabled || refusal.cause == Cause::Locked;
  auto outcome = off ? LoginOutcome::disabled() : LoginOutcome::not_found();
  if (pending->kind == Kind::Test) {
    if (!pending->first_refusal) pending->first_refusal = std::move(refusal);
    return finish_test(pending, std::move(outcome));
  }
  const bool counts = refusal.cause != Cause::Malformed && refusal.cause != Cause::Throttled;
  if (counts && pending->kind != Kind::Keys) {
    throttle_.failed(pending->account, pending->attempt.remote_ip, pending->attempt.password.view(), clock_.now());
  }
  finish(pending, std::move(outcome), refusal.cause, std::move(refusal.reason), std::move(refusal.told));
}

void Logins::fail(const PendingPtr& pending, Cause cause, std::string told, std::string reason) {
  auto outcome = LoginOutcome::temp_fail(told);
  if (pending->kind == Kind::Test) {
    // What would have turned it away before is what would have happened.
    if (pending->first_refusal) return finish_test(pending, LoginOutcome::not_found());
    pending->first_refusal = Refusal{cause, std::move(reason)};
    return finish_test(pending, std::move(outcome));
  }
  finish(pending, std::move(outcome), cause, std::move(reason), std::move(told));
}

Logins::PendingPtr Logins::end(const PendingPtr& pending) {
  auto kept = pending;  // `pending` may refer to the list's own element
  kept->over = true;
  kept->deadline.reset();
  kept->timer.reset();
  pending_.erase(kept->place);
  return kept;
}

void Logins::finish(const PendingPtr& pending, LoginOutcome outcome, Cause cause, std::string detail,
                    std::string told) {
  if (pending->over) return;
  const auto kept = end(pending);
  const Attempt& attempt = kept->attempt;
  const bool keys = kept->kind == Kind::Keys;
  if (!keys || outcome.is_temp_fail()) {
    const bool ok = outcome.is_found();
    const Instant now = clock_.now();
    if (cause == Cause::Crowded) {
      log_.turned_away(now);
    } else {
      log_login(attempt, outcome, ok ? "" : detail, ok ? detail : "");
    }
    log_.count(cause, now - kept->arrival);
  }
  if (keys) {
    return loop_.post([done = std::move(kept->keys_done), outcome = std::move(outcome)]() mutable {
      done(outcome.is_temp_fail() ? Outcome<Keys>::temp_fail(outcome.reason()) : Outcome<Keys>::not_found());
    });
  }
  const bool refused = !outcome.is_found() && !outcome.is_temp_fail();
  if (kept->stranger && outcome.is_found()) strangers_.was_right();
  if (kept->stranger && refused) strangers_.failed();
  auto answer = [done = std::move(kept->done), outcome = std::move(outcome), told = std::move(told),
                 stranger = std::move(kept->stranger)]() mutable { done(std::move(outcome), told); };
  // One of Dovecot's few workers is not to be held for what the throttle has stopped.
  if (!refused || (attempt.way == Way::Lookup && cause == Cause::Throttled)) return loop_.post(std::move(answer));
  const Pace& pace = attempt.way == Way::Sasl ? paces_.sasl : paces_.lookup;
  tick_.leave_at(leaving(kept->arrival, clock_.now(), pace), std::move(answer));
}

void Logins::finish_test(const PendingPtr& pending, LoginOutcome outcome) {
  if (pending->over) return;
  const auto kept = end(pending);
  Explanation explanation;
  explanation.steps = std::move(kept->steps);
  if (kept->first_refusal) {
    explanation.outcome = std::move(outcome);
    explanation.reason = std::move(kept->first_refusal->reason);
  } else {
    explanation.outcome = LoginOutcome::found(std::move(kept->credentials->mailbox));
    explanation.reason = "the login is good";
  }
  loop_.post([done = std::move(kept->explained), explanation = std::move(explanation)]() mutable {
    done(std::move(explanation));
  });
}

}  // namespace vmail::auth
