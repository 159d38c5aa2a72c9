#include "dovecot-auth/master/session.h"

#include <unistd.h>

#include <utility>

#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::auth::master {
namespace {

constexpr auto kTakingDeadline = std::chrono::seconds(30);

// The four outcomes as this protocol spells them.
std::string reply_to(const Request& request, const Outcome<auth::Account>& outcome) {
  switch (outcome.status()) {
    case Status::Found: {
      const auto& account = outcome.value();
      if (request.kind == Request::Kind::Pass) return pass(request.id, account.user);
      return user(request.id, {account.user, account.home, account.uid, account.gid});
    }
    case Status::NotFound:
    case Status::Disabled:
      return not_found(request.id);
    case Status::TempFail:
      break;
  }
  return fail(request.id, outcome.reason());
}

}  // namespace

MasterSession::MasterSession(Channel& channel, const Questions& questions, const Accounts& accounts)
    : LineSession(channel, kMaxLine, "userdb"), questions_(questions), accounts_(accounts) {
  channel_.send(handshake(static_cast<std::uint32_t>(::getpid())));
}

void MasterSession::handle(std::span<char> line) {
  const Request request = parse_request(line);
  switch (request.kind) {
    case Request::Kind::Nothing:
      return;
    case Request::Kind::User:
    case Request::Kind::Pass:
      begin();
      return look_up(request);
    case Request::Kind::List:
      begin();
      listing_ = request.id;
      return list(0);
    case Request::Kind::Refused:
      return channel_.send(fail(request.id, "vmail-authd only answers questions here"));
    case Request::Kind::Malformed:
      return refuse("it sent " + request.why);
  }
}

void MasterSession::look_up(const Request& request) {
  const auto known = questions_.mailbox(
      request.user, [this, weak = weak_from_this(), request](const Outcome<directory::Mailbox>& later) {
        if (const auto self = weak.lock()) {
          found(request, later);
          proceed();
        }
      });
  if (known) found(request, *known);
}

void MasterSession::found(const Request& request, const Outcome<directory::Mailbox>& mailbox) {
  const auto account = accounts_.account(mailbox);
  if (account.is_temp_fail()) {
    log::warning("userdb user={} result=tempfail reason={}", printable(request.user), account.reason());
  }
  answer(reply_to(request, account));
}

void MasterSession::list(std::uint64_t after) {
  questions_.mailboxes(after, [this, weak = weak_from_this()](const Outcome<directory::MailboxPage>& page) {
    if (const auto self = weak.lock()) {
      listed(page);
      proceed();
    }
  });
}

void MasterSession::listed(const Outcome<directory::MailboxPage>& page) {
  if (!channel_.is_open()) return;
  if (!page.is_found()) {
    log::warning("list result=tempfail reason={}", page.reason());
    return answer(done(listing_, false));
  }
  std::string lines;
  for (const auto& mailbox : page.value().mailboxes) lines += master::listed(listing_, mailbox.address);
  if (!page.value().more) return answer(lines + done(listing_, true));
  channel_.send(lines);
  if (channel_.all_sent()) return list(page.value().last);
  next_page_ = page.value().last;
  channel_.set_deadline(kTakingDeadline, "it did not take the list that it asked for");
}

void MasterSession::on_sent() {
  const auto next = std::exchange(next_page_, std::nullopt);
  if (!next) return;
  channel_.clear_deadline();
  list(*next);
}

}  // namespace vmail::auth::master
