// One connection of a libsasl2 with `pwcheck_method: saslauthd`: one login, then its end. The protocol tells no address
// of a client, and knows no temporary failure: one is told by hanging up without an answer, of which libsasl2 makes
// SASL_FAIL, and Postfix 454.
#pragma once

#include "dovecot-auth/login.h"
#include "dovecot-auth/saslauthd/codec.h"
#include "shared/runtime/channel.h"

namespace vmail::auth::saslauthd {

// Loop thread only.
class MuxSession final : public Session {
 public:
  // `logins` outlives every session.
  MuxSession(Channel& channel, Logins& logins);

  void on_bytes(std::string_view bytes) override;
  void on_end_of_input() override;
  void on_drain() override;

 private:
  void check();
  void checked(const LoginOutcome& outcome, std::string_view told);

  Channel& channel_;
  Logins& logins_;
  Decoder decoder_;
  bool checking_ = false;
};

}  // namespace vmail::auth::saslauthd
