// One connection to the verify or the credentials socket: one request at a time, each answered before the next is read.
#pragma once

#include "dovecot-auth/accounts.h"
#include "dovecot-auth/login.h"
#include "dovecot-auth/verify/codec.h"
#include "dovecot-auth/wire/line_buffer.h"
#include "shared/runtime/channel.h"

namespace vmail::auth::verify {

// What every session of a listener shares; outlives them.
struct Services {
  Logins& logins;
  const Questions& questions;
  const Accounts& accounts;
};

// Which requests a socket answers: a hash leaves by the credentials socket alone.
enum class Scope { Verify, Credentials };

// Loop thread only.
class VerifySession final : public Session {
 public:
  VerifySession(Channel& channel, const Services& services, Scope scope);

  void on_bytes(std::string_view bytes) override;
  void on_end_of_input() override;
  void on_drain() override;

 private:
  void proceed();
  void handle(Request request);
  void verify(Request&& request);
  void userdb(const std::string& user);
  void credentials(const std::string& user);
  void userdb_known(const std::string& user, const Outcome<directory::Mailbox>& mailbox);
  void credentials_known(const std::string& user, const Outcome<directory::Credentials>& credentials);
  void answer(std::string_view line);

  Channel& channel_;
  const Services& services_;
  const Scope scope_;
  LineBuffer lines_;
  bool busy_ = false;    // a request is unanswered
  bool ending_ = false;  // close when it is answered
};

}  // namespace vmail::auth::verify
