// One connection of Dovecot's auth master protocol: one request at a time. What it says about a user, a checkpassword
// or the Lua script may be told as well: no password, no hash.
#pragma once

#include "dovecot-auth/accounts.h"
#include "dovecot-auth/line_session.h"
#include "dovecot-auth/login.h"
#include "dovecot-auth/master/codec.h"

namespace vmail::auth::master {

// Loop thread only.
class MasterSession final : public LineSession {
 public:
  // Both outlive every session.
  MasterSession(Channel& channel, const Questions& questions, const Accounts& accounts);

  void on_sent() override;

 private:
  void handle(std::span<char> line) override;
  void look_up(const Request& request);
  void found(const Request& request, const Outcome<directory::Mailbox>& mailbox);
  void list(std::uint64_t after);
  void listed(const Outcome<directory::MailboxPage>& page);

  const Questions& questions_;
  const Accounts& accounts_;
  std::uint32_t listing_ = 0;  // the number of the LIST that is being answered
  // What comes next of it, when the client has taken what came before.
  std::optional<std::uint64_t> next_page_;
};

}  // namespace vmail::auth::master
