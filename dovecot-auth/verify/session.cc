#include "dovecot-auth/verify/session.h"

#include <algorithm>

#include "dovecot-auth/verify/protocol.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::auth::verify {
namespace {

// The four outcomes as this protocol spells them.
Secret reply_to(const Outcome<Account>& outcome, std::string_view password = {}, std::string_view networks = {}) {
  switch (outcome.status()) {
    case Status::Found: {
      const Account& account = outcome.value();
      return ok({account.user, account.home, account.uid, account.gid, password, networks});
    }
    case Status::NotFound:
    case Status::Disabled:
      return Secret(no());
    case Status::TempFail:
      break;
  }
  return Secret(temp(outcome.reason()));
}

}  // namespace

VerifySession::VerifySession(Channel& channel, const Services& services, Scope scope)
    : LineSession(channel, protocol::kMaxLine, "verify"), services_(services), scope_(scope) {}

void VerifySession::say_too_long() {
  channel_.send(temp("the request is too long"));
}

void VerifySession::handle(std::span<char> line) {
  Request request = parse_request(line);
  const bool for_this_socket = (scope_ != Scope::Verify) == (request.kind == Request::Kind::Credentials);
  if (request.kind == Request::Kind::Unknown || !for_this_socket) {
    channel_.send(temp("this socket does not answer such a request"));
    return refuse("a request that this socket does not answer");
  }
  begin();
  switch (request.kind) {
    case Request::Kind::Verify:
      return verify(std::move(request));
    case Request::Kind::Userdb:
      return userdb(request.user);
    case Request::Kind::List:
      return list(request.after);
    case Request::Kind::Credentials:
      return credentials(std::move(request));
    case Request::Kind::Unknown:
      break;
  }
}

void VerifySession::verify(Request&& request) {
  Attempt attempt{std::move(request.user), std::move(request.password), std::move(request.service),
                  std::move(request.remote_ip), std::move(request.session)};
  services_.logins.check(std::move(attempt),
                         [this, weak = weak_from_this()](const LoginOutcome& outcome, std::string_view) {
                           if (const auto self = weak.lock()) {
                             answer(reply_to(services_.accounts.account(outcome)).view());
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
  const auto account = services_.accounts.account(mailbox);
  if (account.is_temp_fail()) {
    log::warning("userdb user={} result=tempfail reason={}", printable(user), account.reason());
  }
  answer(reply_to(account).view());
}

void VerifySession::list(std::uint64_t after) {
  services_.questions.mailboxes(after, [this, weak = weak_from_this()](const Outcome<directory::MailboxPage>& page) {
    if (const auto self = weak.lock()) {
      listed(page);
      proceed();
    }
  });
}

void VerifySession::listed(const Outcome<directory::MailboxPage>& page) {
  if (!page.is_found()) {
    log::warning("list result=tempfail reason={}", page.reason());
    return answer(temp(page.reason()));
  }
  ListReply reply;
  std::uint64_t last = 0;
  for (const auto& mailbox : page.value().mailboxes) {
    if (!reply.add(mailbox.address)) return answer(reply.finish(last));
    last = mailbox.id;
  }
  answer(reply.finish(page.value().more ? std::optional(page.value().last) : std::nullopt));
}

void VerifySession::credentials(Request&& request) {
  ask_credentials(std::make_shared<const Request>(std::move(request)), directory::Freshness::Cached);
}

void VerifySession::ask_credentials(const Asked& asked, directory::Freshness freshness) {
  const auto known = services_.questions.credentials(
      asked->user, freshness,
      [this, weak = weak_from_this(), asked, freshness](const Outcome<directory::Credentials>& later) {
        if (const auto self = weak.lock()) {
          credentials_known(asked, freshness, later);
          proceed();
        }
      });
  if (known) credentials_known(asked, freshness, *known);
}

// Who does could do nothing with a hash.
bool VerifySession::wants_keys(const Request& request) const {
  return scope_ == Scope::Keys || request.scheme == "SCRAM-SHA-256";
}

// Whoever gets the keys to check by decides alone, so all that can be known before decides here. Networks can be
// checked there too: allow_nets goes with the answer.
std::optional<Denial> VerifySession::why_withheld(const Request& request,
                                                  const directory::Credentials& credentials) const {
  const bool locked =
      services_.locked.contains(request.user) || services_.locked.contains(credentials.mailbox.address());
  if (locked) return Denial{Cause::Locked, "the login is locked on this host"};
  if (credentials.app_passwords_only) return Denial{Cause::AppPasswordOnly, "app passwords only"};
  if (auto none = why_no_password(credentials.hash, wants_keys(request))) return none;
  if (wants_keys(request) && credentials.scram.empty()) {
    return Denial{Cause::WrongPassword, "no keys are stored for SCRAM"};
  }
  directory::Access access = credentials.access;
  if (request.remote_ip.empty()) access.networks.clear();
  return why_denied(access, request.service, request.remote_ip, services_.clock.wall(), "this account");
}

void VerifySession::credentials_known(const Asked& asked, directory::Freshness freshness,
                                      const Outcome<directory::Credentials>& credentials) {
  const auto withheld = credentials.is_found() ? why_withheld(*asked, credentials.value()) : std::optional<Denial>();
  const bool refused = withheld || (!credentials.is_found() && !credentials.is_temp_fail());
  const bool locked = withheld && withheld->cause == Cause::Locked;  // known on this host, whatever the database says
  // Nobody is refused because of what was remembered.
  if (refused && !locked && freshness == directory::Freshness::Cached)
    return ask_credentials(asked, directory::Freshness::FreshForRefusal);
  give_credentials(*asked, credentials, withheld);
}

// That a hash has left the daemon is worth a line each time.
void VerifySession::give_credentials(const Request& request, const Outcome<directory::Credentials>& credentials,
                                     const std::optional<Denial>& withheld) {
  auto account = Outcome<Account>::not_found();
  Secret hash;
  std::string networks;
  if (!credentials.is_found()) {
    account = Outcome<Account>::without_value(credentials);
  } else if (withheld && withheld->cause == Cause::BadData) {
    account = Outcome<Account>::temp_fail(withheld->reason);
  } else if (!withheld) {
    const auto& found = credentials.value();
    hash = wants_keys(request) ? Secret("{SCRAM-SHA-256}" + found.scram.text())
                               : password::with_scheme(found.hash.view(), services_.logins.limits());
    account = hash.empty() ? Outcome<Account>::temp_fail("the stored hash cannot be used")
                           : services_.accounts.account(found.mailbox);
    networks = found.access.networks;
    std::replace(networks.begin(), networks.end(), ' ', ',');
  }
  if (account.is_temp_fail()) {
    log::warning("credentials user={} peer={} result=tempfail reason={}", printable(request.user),
                 channel_.peer().address, account.reason());
  } else {
    log::info("credentials user={} peer={} result={}{}", printable(request.user), channel_.peer().address,
              account.is_found() ? "ok" : "failed", withheld ? " reason=" + withheld->reason : "");
  }
  answer(reply_to(account, hash.view(), networks).view());
}

}  // namespace vmail::auth::verify
