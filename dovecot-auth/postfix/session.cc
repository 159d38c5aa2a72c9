#include "dovecot-auth/postfix/session.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "shared/base/text.h"
#include "shared/password/encoding.h"
#include "shared/password/random.h"
#include "shared/runtime/log.h"

namespace vmail::auth::postfix {
namespace {

constexpr auto kLineDeadline = std::chrono::seconds(10);
// Of one connection. More checks than this wait unread; of more abandoned exchanges the oldest is dropped.
constexpr std::size_t kMaxChecking = 64;
constexpr std::size_t kMaxWaiting = 32;

// The four outcomes as this protocol spells them. Nothing: hang up without a reply, since Postfix makes a permanent 535
// of every FAIL, also of one with code=temp_fail, and a 454 of a lost connection (xsasl_dovecot_server.c).
std::optional<std::string> reply_to(std::uint32_t id, const std::string& user, const LoginOutcome& outcome,
                                    std::string_view told) {
  switch (outcome.status()) {
    case Status::Found:
      return ok(id, outcome.value().address());
    case Status::NotFound:
    case Status::Disabled:
      return fail(id, printable(user), told);
    case Status::TempFail:
      break;
  }
  return std::nullopt;
}

}  // namespace

AuthSession::AuthSession(Channel& channel, Logins& logins, const std::vector<std::string>& mechanisms,
                         std::uint64_t connection)
    : channel_(channel), logins_(logins), mechanisms_(mechanisms) {
  // The cookie ties a login to this connection in other parts of the protocol, which we do not serve; clients want one
  // all the same.
  const std::string cookie = password::encode_hex(password::random_bytes(16));
  channel_.send(handshake(static_cast<std::uint32_t>(::getpid()), connection, cookie, mechanisms));
}

void AuthSession::on_bytes(std::string_view bytes) {
  decoder_.feed(bytes);
  proceed();
}

void AuthSession::on_end_of_input() {
  on_drain();
}

void AuthSession::on_drain() {
  ending_ = true;
  if (checking_ == 0) channel_.close();
}

void AuthSession::proceed() {
  while (channel_.is_open()) {
    if (checking_ >= kMaxChecking) return channel_.pause();
    Event event = decoder_.next();
    if (std::holds_alternative<NeedMore>(event)) break;
    if (auto* auth = std::get_if<Auth>(&event)) handle(*auth);
    if (auto* more = std::get_if<Continue>(&event)) handle(*more);
    if (auto* cancel = std::get_if<Cancel>(&event)) handle(*cancel);
    if (auto* bad = std::get_if<Malformed>(&event)) malformed(bad->why);
  }
  if (decoder_.empty()) return channel_.clear_deadline();
  channel_.set_deadline(kLineDeadline, "it did not send the rest of its request");
}

void AuthSession::handle(Auth& request) {
  if (exchanges_.contains(request.id)) return malformed("an AUTH with the number of another that is not over");
  Exchange exchange;
  exchange.attempt.service = std::move(request.service);
  exchange.attempt.remote_ip = std::move(request.remote_ip);
  exchange.attempt.session = std::move(request.session);
  const auto is_asked_for = [&](const auto& name) { return equal_ignoring_ascii_case(name, request.mechanism); };
  if (std::any_of(mechanisms_.begin(), mechanisms_.end(), is_asked_for)) {
    exchange.mechanism = sasl::make_mechanism(request.mechanism);
  }
  if (!exchange.mechanism) return refuse(request.id, exchange.attempt, "this way to log in is not offered");
  std::optional<std::string_view> initial;
  if (request.initial) {
    if (!request.initial->is_base64) {
      return refuse(request.id, exchange.attempt, "the mail program sent a response that is not base64");
    }
    initial = request.initial->bytes.view();
  }
  auto step = exchange.mechanism->start(initial);
  take(request.id, std::move(exchange), std::move(step));
}

void AuthSession::handle(Continue& request) {
  const auto found = exchanges_.find(request.id);
  if (found == exchanges_.end() || found->second.check != 0) return malformed("a CONT that nothing was asked for");
  Exchange exchange = std::move(found->second);
  exchanges_.erase(found);
  if (!request.response.is_base64) {
    return refuse(request.id, exchange.attempt, "the mail program sent a response that is not base64");
  }
  auto step = exchange.mechanism->respond(request.response.bytes.view());
  take(request.id, std::move(exchange), std::move(step));
}

void AuthSession::handle(Cancel& request) {
  exchanges_.erase(request.id);
}

void AuthSession::take(std::uint32_t id, Exchange exchange, sasl::Step step) {
  if (auto* invalid = std::get_if<sasl::Invalid>(&step)) {
    exchange.attempt.user = std::move(invalid->user);
    return refuse(id, exchange.attempt, invalid->why);
  }
  if (const auto* challenge = std::get_if<sasl::Challenge>(&step)) {
    exchanges_.emplace(id, std::move(exchange));
    drop_oldest_waiting();
    return channel_.send(go_on(id, challenge->text));
  }
  if (auto* wanted = std::get_if<sasl::NeedKeys>(&step)) {
    return ask_for_keys(id, std::move(exchange), std::move(wanted->user));
  }
  if (auto* trouble = std::get_if<sasl::Trouble>(&step)) {
    exchange.attempt.user = std::move(trouble->user);
    log_login(exchange.attempt, LoginOutcome::temp_fail(trouble->why), trouble->why, "");
    return channel_.close();
  }
  Attempt attempt = std::move(exchange.attempt);
  attempt.way = Way::Sasl;
  if (auto* proven = std::get_if<sasl::Proven>(&step)) {
    attempt.user = std::move(proven->user);
    auto done = begin_check(id, attempt);
    return logins_.proven(std::move(attempt), proven->right, std::move(done));
  }
  auto& check = std::get<sasl::Check>(step);
  attempt.user = std::move(check.user);
  attempt.password = std::move(check.password);
  auto done = begin_check(id, attempt);
  logins_.check(std::move(attempt), std::move(done));
}

// The exchange stays in the table, so that CANCEL finds it; the attempt itself goes to the check.
Logins::Done AuthSession::begin_check(std::uint32_t id, const Attempt& attempt) {
  Exchange waiting;
  waiting.attempt.user = attempt.user;
  waiting.check = ++checks_;
  exchanges_.emplace(id, std::move(waiting));
  ++checking_;
  return [this, weak = weak_from_this(), id, number = checks_](const LoginOutcome& outcome, std::string_view told) {
    if (const auto self = weak.lock()) checked(id, number, outcome, told);
  };
}

void AuthSession::ask_for_keys(std::uint32_t id, Exchange exchange, std::string user) {
  exchange.attempt.user = std::move(user);
  exchange.attempt.way = Way::Sasl;
  exchange.check = ++checks_;
  ++checking_;
  const auto& asked = exchanges_.emplace(id, std::move(exchange)).first->second;
  logins_.keys(asked.attempt, [this, weak = weak_from_this(), id, number = checks_](const Outcome<Keys>& keys) {
    if (const auto self = weak.lock()) go_on_with(id, number, keys);
  });
}

void AuthSession::go_on_with(std::uint32_t id, std::uint64_t check, const Outcome<Keys>& keys) {
  --checking_;
  const auto found = exchanges_.find(id);
  if (found != exchanges_.end() && found->second.check == check) {
    if (keys.is_temp_fail()) return channel_.close();
    Exchange exchange = std::move(found->second);
    exchanges_.erase(found);
    exchange.check = 0;
    if (keys.is_found()) exchange.attempt.keys = keys.value().scram.copy();
    auto step = exchange.mechanism->resume(keys.is_found() ? &keys.value().scram : nullptr);
    take(id, std::move(exchange), std::move(step));
  }
  if (ending_) return on_drain();
  channel_.resume();
  proceed();
}

void AuthSession::checked(std::uint32_t id, std::uint64_t check, const LoginOutcome& outcome, std::string_view told) {
  --checking_;
  if (const auto found = exchanges_.find(id); found != exchanges_.end() && found->second.check == check) {
    const auto reply = reply_to(id, found->second.attempt.user, outcome, told);
    exchanges_.erase(found);
    if (!reply) return channel_.close();
    channel_.send(*reply);
  }
  if (ending_) return on_drain();
  channel_.resume();
  proceed();
}

// Failures that need no look at an account. They leave a line in the log as the others do.
void AuthSession::refuse(std::uint32_t id, const Attempt& attempt, const std::string& why) {
  log_login(attempt, LoginOutcome::not_found(), why);
  channel_.send(fail(id, printable(attempt.user), why));
}

void AuthSession::malformed(const std::string& why) {
  log::warning("auth: {}: closed: it sent {}", channel_.peer().address, why);
  channel_.close();
}

// Postfix tells us nothing when its client breaks an exchange off, and keeps the connection.
void AuthSession::drop_oldest_waiting() {
  const auto waits = [](const auto& entry) { return entry.second.check == 0; };
  if (static_cast<std::size_t>(std::count_if(exchanges_.begin(), exchanges_.end(), waits)) <= kMaxWaiting) return;
  exchanges_.erase(std::find_if(exchanges_.begin(), exchanges_.end(), waits));
}

}  // namespace vmail::auth::postfix
