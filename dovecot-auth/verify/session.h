// One connection to the verify or the credentials socket: one request at a time, each answered before the next is read.
#pragma once

#include "dovecot-auth/access.h"
#include "dovecot-auth/accounts.h"
#include "dovecot-auth/line_session.h"
#include "dovecot-auth/login.h"
#include "dovecot-auth/verify/codec.h"
#include "shared/directory/deny_list.h"

namespace vmail::auth::verify {

// What every session of a listener shares; outlives them.
struct Services {
  Logins& logins;
  const Questions& questions;
  const Accounts& accounts;
  const directory::DenyList& locked;
  const Clock& clock;
};

// Which requests a socket answers: a hash leaves by the credentials socket alone, SCRAM keys by that and by the socket
// for keys.
enum class Scope { Verify, Credentials, Keys };

// Loop thread only.
class VerifySession final : public LineSession {
 public:
  VerifySession(Channel& channel, const Services& services, Scope scope);

 private:
  void handle(std::span<char> line) override;
  void say_too_long() override;
  void verify(Request&& request);
  void userdb(const std::string& user);
  void list(std::uint64_t after);
  void credentials(Request&& request);
  void userdb_known(const std::string& user, const Outcome<directory::Mailbox>& mailbox);
  void listed(const Outcome<directory::MailboxPage>& page);
  using Asked = std::shared_ptr<const Request>;
  void ask_credentials(const Asked& asked, directory::Freshness freshness);
  void credentials_known(const Asked& asked, directory::Freshness freshness,
                         const Outcome<directory::Credentials>& credentials);
  void give_credentials(const Request& request, const Outcome<directory::Credentials>& credentials,
                        const std::optional<Denial>& withheld);
  bool wants_keys(const Request& request) const;
  std::optional<Denial> why_withheld(const Request& request, const directory::Credentials& credentials) const;

  const Services& services_;
  const Scope scope_;
};

}  // namespace vmail::auth::verify
