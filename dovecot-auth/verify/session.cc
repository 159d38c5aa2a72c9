#include "dovecot-auth/verify/session.h"

#include <string.h>

#include "dovecot-auth/verify/protocol.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::auth::verify {
namespace {

constexpr auto kLineDeadline = std::chrono::seconds(10);

// The four outcomes as this protocol spells them.
Secret reply_to(const Outcome<Account>& outcome, std::string_view password = {}) {
  switch (outcome.status()) {
    case Status::Found: {
      const Account& account = outcome.value();
      return ok({account.user, account.home, account.uid, account.gid, password});
    }
    case Status::NotFound:
    case Status::Disabled:
      return Secret(no());
    case Status::TempFail:
      break;
  }
  return Secret(temp(outcome.reason()));
}

Outcome<Account> account_of(const Accounts& accounts, const Outcome<directory::Mailbox>& mailbox) {
  if (!mailbox.is_found()) return Outcome<Account>::without_value(mailbox);
  return accounts.account(mailbox.value());
}

}  // namespace

VerifySession::VerifySession(Channel& channel, const Services& services, Scope scope)
    : channel_(channel), services_(services), scope_(scope), lines_(protocol::kMaxLine) {}

void VerifySession::on_bytes(std::string_view bytes) {
  lines_.feed(bytes);
  proceed();
}

void VerifySession::on_end_of_input() {
  on_drain();
}

void VerifySession::on_drain() {
  ending_ = true;
  if (!busy_) channel_.close();
}

void VerifySession::proceed() {
  while (!busy_ && channel_.is_open()) {
    std::span<char> line;
    switch (lines_.next(line)) {
      case LineBuffer::State::NeedMore:
        if (lines_.empty()) return channel_.clear_deadline();
        return channel_.set_deadline(kLineDeadline, "it did not send the rest of its request");
      case LineBuffer::State::TooLong:
        log::warning("verify: {}: closed: a request of more than {} bytes", channel_.peer().address,
                     protocol::kMaxLine);
        channel_.send(temp("the request is too long"));
        return channel_.close();
      case LineBuffer::State::Line:
        handle(parse_request(line));
        explicit_bzero(line.data(), line.size());
    }
  }
}

void VerifySession::handle(Request request) {
  channel_.clear_deadline();
  const bool for_this_socket = (scope_ == Scope::Credentials) == (request.kind == Request::Kind::Credentials);
  if (request.kind == Request::Kind::Unknown || !for_this_socket) {
    log::warning("verify: {}: closed: a request that this socket does not answer", channel_.peer().address);
    channel_.send(temp("this socket does not answer such a request"));
    return channel_.close();
  }
  busy_ = true;
  channel_.pause();
  if (request.kind == Request::Kind::Verify) {
    verify(std::move(request));
  } else if (request.kind == Request::Kind::Userdb) {
    userdb(request.user);
  } else {
    credentials(request.user);
  }
}

void VerifySession::verify(Request&& request) {
  Attempt attempt{std::move(request.user), std::move(request.password), std::move(request.service),
                  std::move(request.remote_ip), std::move(request.session)};
  services_.logins.check(std::move(attempt),
                         [this, weak = weak_from_this()](const LoginOutcome& outcome, std::string_view) {
                           if (const auto self = weak.lock()) {
                             answer(reply_to(account_of(services_.accounts, outcome)).view());
                             proceed();
                           }
                         });
}

void VerifySession::userdb(const std::string& user) {
  const auto known = services_.questions.mailbox(
      user, [this, weak = weak_from_this(), user](const Outcome<directory::Mailbox>& later) {
        if (const auto self = weak.lock()) {
          userdb_known(user, later);
          proceed();
        }
      });
  if (known) userdb_known(user, *known);
}

void VerifySession::userdb_known(const std::string& user, const Outcome<directory::Mailbox>& mailbox) {
  const auto account = account_of(services_.accounts, mailbox);
  if (account.is_temp_fail()) {
    log::warning("userdb user={} result=tempfail reason={}", printable(user), account.reason());
  }
  answer(reply_to(account).view());
}

void VerifySession::credentials(const std::string& user) {
  const auto known = services_.questions.credentials(
      user, directory::Freshness::Cached,
      [this, weak = weak_from_this(), user](const Outcome<directory::Credentials>& later) {
        if (const auto self = weak.lock()) {
          credentials_known(user, later);
          proceed();
        }
      });
  if (known) credentials_known(user, *known);
}

// That a hash has left the daemon is worth a line each time.
void VerifySession::credentials_known(const std::string& user, const Outcome<directory::Credentials>& credentials) {
  auto account = Outcome<Account>::not_found();
  Secret hash;
  if (credentials.is_found()) {
    hash = password::with_scheme(credentials.value().hash.view(), services_.logins.limits());
    account = hash.empty() ? Outcome<Account>::temp_fail("the stored hash cannot be used")
                           : services_.accounts.account(credentials.value().mailbox);
  } else {
    account = Outcome<Account>::without_value(credentials);
  }
  if (account.is_temp_fail()) {
    log::warning("credentials user={} peer={} result=tempfail reason={}", printable(user), channel_.peer().address,
                 account.reason());
  } else {
    log::info("credentials user={} peer={} result={}", printable(user), channel_.peer().address,
              account.is_found() ? "ok" : "failed");
  }
  answer(reply_to(account, hash.view()).view());
}

void VerifySession::answer(std::string_view line) {
  channel_.send(line);
  busy_ = false;
  if (ending_) return channel_.close();
  channel_.resume();
}

}  // namespace vmail::auth::verify
