#include "dovecot-auth/login_log.h"

#include <fmt/format.h>

#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::auth {
namespace {

// A value in a line of key=value pairs: what an outsider sent cannot pretend to be the next pair.
std::string field(std::string_view text) {
  if (text.empty()) return "-";
  std::string out = printable(text);
  for (auto at = out.find(' '); at != std::string::npos; at = out.find(' ', at)) out.replace(at, 1, "\\x20");
  return out;
}

}  // namespace

const char* word(Cause cause) {
  constexpr std::array<const char*, kCauses> kWords = {
      "ok",      "malformed", "locked",  "throttled", "unknown",  "disabled", "wrong-password", "app-password-only",
      "service", "network",   "not-yet", "expired",   "database", "bad-data", "queue-full",     "crowded",
      "deadline"};
  return kWords[static_cast<std::size_t>(cause)];
}

void log_login(const Attempt& attempt, const LoginOutcome& outcome, const std::string& reason,
               const std::string& app_password) {
  if (outcome.is_found() && log::level() < log::Level::Info) return;
  std::string line = fmt::format("login user={} service={} rip={}", field(attempt.user), field(attempt.service),
                                 field(attempt.remote_ip));
  if (!attempt.session.empty()) line += " session=" + field(attempt.session);
  if (!app_password.empty()) line += " app_password=" + field(app_password);
  switch (outcome.status()) {
    case Status::Found:
      return log::write(log::Level::Info, line += " result=ok");
    case Status::NotFound:
    case Status::Disabled:
      return log::info("{} result=failed reason={}", line, reason);
    case Status::TempFail:
      return log::warning("{} result=tempfail reason={}", line, reason);
  }
}

void LoginLog::metrics(metrics::Registry& registry) {
  for (std::size_t i = 0; i < kCauses; ++i) {
    causes_[i] = &registry.counter("vmailkit_logins_total", "Attempts to log in, by what decided them.",
                                   {{"cause", word(static_cast<Cause>(i))}});
  }
  remembered_ = &registry.counter("vmailkit_logins_remembered_total",
                                  "Passwords that were known to be right from a moment before, and not hashed again.");
  time_ = &registry.histogram("vmailkit_login_seconds",
                              "Time from an attempt's arrival to its decision, without the delay of failures.");
}

void LoginLog::count(Cause cause, Duration took) {
  if (time_ == nullptr) return;
  causes_[static_cast<std::size_t>(cause)]->add();
  time_->observe(took);
}

void LoginLog::turned_away(Instant now) {
  ++turned_away_;
  if (now < tell_again_) return;
  log::warning(
      "login: somebody guesses passwords: most logins from networks where their account is not known fail; {} that "
      "came while others of them were looked at have been turned away since the last such line; vmailctl throttle show "
      "names the networks",
      turned_away_);
  turned_away_ = 0;
  tell_again_ = now + kTellAgain;
}

void LoginLog::remembered() {
  if (remembered_ != nullptr) remembered_->add();
}

}  // namespace vmail::auth
