#include "dovecot-auth/login.h"

#include <optional>

#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::auth {
namespace {

// A value in a line of key=value pairs: what an outsider sent cannot pretend to be the next pair.
std::string field(std::string_view text) {
  if (text.empty()) return "-";
  std::string out;
  for (const char c : printable(text)) {
    if (c == ' ') {
      out += "\\x20";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void log_login(const Attempt& attempt, const LoginOutcome& outcome, const std::string& reason) {
  const std::string session = attempt.session.empty() ? "" : " session=" + field(attempt.session);
  const std::string who = "login user=" + field(attempt.user) + " service=" + field(attempt.service) +
                          " rip=" + field(attempt.remote_ip) + session;
  switch (outcome.status()) {
    case Status::Found:
      return log::info("{} result=ok", who);
    case Status::NotFound:
    case Status::Disabled:
      return log::info("{} result=failed reason={}", who, reason);
    case Status::TempFail:
      return log::warning("{} result=tempfail reason={}", who, reason);
  }
}

password::Limits password_limits(const config::Settings::Passwords& settings) {
  password::Limits limits;
  limits.max_length = settings.max_length;
  limits.max_rounds = settings.max_rounds;
  limits.allow_weak = settings.allow_weak;
  return limits;
}

struct Logins::Pending {
  Pending(Loop& loop, Attempt&& what, Done&& then) : attempt(std::move(what)), done(std::move(then)), deadline(loop) {}

  Attempt attempt;
  Done done;
  // A hash from memory that did not let the user in, and what becomes of the login should it still be the one.
  Secret tried;
  std::optional<LoginOutcome> if_same;
  std::string why_if_same;
  Instant expires;
  Timer deadline;
  bool over = false;
  std::list<PendingPtr>::iterator place;
};

Logins::Logins(Loop& loop, const Clock& clock, const Questions& questions, WorkerPool& pool,
               const config::Settings::Passwords& settings)
    : loop_(loop), clock_(clock), questions_(questions), pool_(pool) {
  reload(settings);
}

Logins::~Logins() = default;

void Logins::reload(const config::Settings::Passwords& settings) {
  limits_ = password_limits(settings);
  if (rounds_ != settings.rounds) {
    rounds_ = settings.rounds;
    dummy_hash_ = password::make_dummy_hash(rounds_);
  }
}

void Logins::check(Attempt attempt, Done done) {
  const auto pending = std::make_shared<Pending>(loop_, std::move(attempt), std::move(done));
  pending->place = pending_.insert(pending_.end(), pending);
  pending->expires = clock_.now() + kDeadline;
  pending->deadline.start(kDeadline, [this, weak = std::weak_ptr(pending)] {
    if (const auto late = weak.lock()) {
      finish(late, LoginOutcome::temp_fail("no answer in time"),
             "no answer within 7 s: the database or the hashing is slow");
    }
  });

  // Refused without a hash: what the peer sent says it all, and tells nobody anything about an account.
  const std::string_view secret = pending->attempt.password.view();
  const char* refusal = secret.empty()                                ? "empty password"
                        : secret.size() > limits_.max_length          ? "password longer than passwords.max_length"
                        : secret.find('\0') != std::string_view::npos ? "password with a NUL byte"
                                                                      : nullptr;
  if (refusal != nullptr) {
    return loop_.post([this, weak = std::weak_ptr(pending), refusal] {
      if (const auto refused = weak.lock()) finish(refused, LoginOutcome::not_found(), refusal);
    });
  }

  ask(pending, directory::Freshness::Cached);
}

void Logins::ask(const PendingPtr& pending, directory::Freshness freshness) {
  auto answer =
      questions_.credentials(pending->attempt.user, freshness,
                             [this, weak = std::weak_ptr(pending)](Outcome<directory::Credentials> credentials) {
                               if (const auto asked = weak.lock()) found(asked, std::move(credentials));
                             });
  if (answer) found(pending, std::move(*answer));
}

void Logins::found(const PendingPtr& pending, Outcome<directory::Credentials> credentials) {
  if (pending->over) return;
  switch (credentials.status()) {
    case Status::Found: {
      const bool from_memory = credentials.source() != Source::Database && pending->tried.empty();
      auto value = std::move(credentials).value();
      if (value.hash.view() == pending->tried.view() && !pending->tried.empty()) {
        return finish(pending, std::move(*pending->if_same), pending->why_if_same);
      }
      // A refusal never rests on what was remembered: a hash that does not match is read again.
      if (from_memory) pending->tried = value.hash.copy();
      return hash(pending, std::move(value.hash), LoginOutcome::found(std::move(value.mailbox)), "wrong password",
                  from_memory);
    }
    // The same work as for an account that exists, so that the time it takes tells nothing.
    case Status::NotFound:
      return hash(pending, Secret(dummy_hash_), LoginOutcome::not_found(), "no such account", false);
    case Status::Disabled:
      return hash(pending, Secret(dummy_hash_), LoginOutcome::disabled(), "the account is disabled", false);
    case Status::TempFail:
      // Never inside check(): a question that fails at once is answered from the loop like any other.
      return loop_.post([this, weak = std::weak_ptr(pending), reason = credentials.reason()] {
        if (const auto failed = weak.lock()) finish(failed, LoginOutcome::temp_fail(reason), reason);
      });
  }
}

void Logins::hash(const PendingPtr& pending, Secret stored, LoginOutcome if_match, const char* refusal,
                  bool remembered) {
  auto job = [this, weak = std::weak_ptr(pending), stored = std::move(stored),
              password = pending->attempt.password.copy(), limits = limits_, expires = pending->expires,
              if_match = std::move(if_match), refusal, remembered](std::size_t) mutable {
    // A login that nobody waits for any more is not worth a hash: its deadline has answered it.
    if (clock_.now() >= expires) return;
    const auto result = password::verify(password, stored.view(), limits);
    loop_.post([this, weak = std::move(weak), result, if_match = std::move(if_match), refusal, remembered]() mutable {
      const auto hashed = weak.lock();
      if (!hashed) return;
      switch (result.verdict) {
        case password::Verdict::Match:
          return finish(hashed, std::move(if_match), refusal);
        case password::Verdict::Mismatch:
          return turn_away(hashed, if_match.is_found() ? LoginOutcome::not_found() : std::move(if_match), refusal,
                           remembered);
        case password::Verdict::BadData:
          return turn_away(hashed, LoginOutcome::temp_fail("the stored password hash cannot be used"),
                           "the stored hash cannot be used: " + result.reason, remembered);
        case password::Verdict::NotComputed:
          return finish(hashed, LoginOutcome::temp_fail("the password was not verified"), result.reason);
      }
    });
  };
  if (pool_.submit(std::move(job))) return;
  loop_.post([this, weak = std::weak_ptr(pending)] {
    if (const auto full = weak.lock()) {
      finish(full, LoginOutcome::temp_fail("too many logins wait already"),
             "too many logins wait for their hash (auth.hash_queue)");
    }
  });
}

void Logins::turn_away(const PendingPtr& pending, LoginOutcome outcome, const std::string& reason, bool remembered) {
  if (!remembered) return finish(pending, std::move(outcome), reason);
  pending->if_same = std::move(outcome);
  pending->why_if_same = reason;
  ask(pending, directory::Freshness::FreshForRefusal);
}

void Logins::finish(const PendingPtr& pending, LoginOutcome outcome, const std::string& reason) {
  if (pending->over) return;
  pending->over = true;
  pending->deadline.cancel();
  const auto kept = pending;  // `pending` may refer to the list's own element
  pending_.erase(kept->place);
  log_login(kept->attempt, outcome, reason);
  kept->done(std::move(outcome));
}

}  // namespace vmail::auth
