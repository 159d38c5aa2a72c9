// One connection of the Dovecot authentication protocol, from a Postfix smtpd or another client. Postfix keeps it for
// the process's life, asks one thing at a time, and abandons an exchange that its own client broke off without a word.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dovecot-auth/login.h"
#include "dovecot-auth/postfix/codec.h"
#include "dovecot-auth/sasl/mechanism.h"
#include "shared/runtime/channel.h"

namespace vmail::auth::postfix {

// Loop thread only.
class AuthSession final : public Session {
 public:
  // `connection` tells this daemon's connections apart; `mechanisms` are those of [auth], and outlive it.
  AuthSession(Channel& channel, Logins& logins, const std::vector<std::string>& mechanisms, std::uint64_t connection);

  void on_bytes(std::string_view bytes) override;
  void on_end_of_input() override;
  void on_drain() override;

 private:
  // It waits for the client, or (`check` is not 0) for Logins; a mechanism then goes on with the keys of the user.
  struct Exchange {
    std::unique_ptr<sasl::Mechanism> mechanism;
    Attempt attempt;
    std::uint64_t check = 0;
  };

  void proceed();
  void handle(Auth& request);
  void handle(Continue& request);
  void handle(Cancel& request);
  void take(std::uint32_t id, Exchange exchange, sasl::Step step);
  Logins::Done begin_check(std::uint32_t id, const Attempt& attempt);
  void ask_for_keys(std::uint32_t id, Exchange exchange, std::string user);
  void go_on_with(std::uint32_t id, std::uint64_t check, const Outcome<Keys>& keys);
  void checked(std::uint32_t id, std::uint64_t check, const LoginOutcome& outcome, std::string_view told);
  void refuse(std::uint32_t id, const Attempt& attempt, const std::string& why);
  void malformed(const std::string& why);
  void drop_oldest_waiting();

  Channel& channel_;
  Logins& logins_;
  const std::vector<std::string>& mechanisms_;
  Decoder decoder_;
  std::map<std::uint32_t, Exchange> exchanges_;  // by id: clients count upwards, so the first is the oldest
  std::size_t checking_ = 0;
  std::uint64_t checks_ = 0;  // numbers them: an id may be used again after CANCEL, before its check has ended
  bool ending_ = false;       // close when nothing is being checked
};

}  // namespace vmail::auth::postfix
