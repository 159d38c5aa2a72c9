// SCRAM-SHA-256 (RFC 5802, RFC 7677): client and server prove to each other that they know the password, and neither
// sends it. libsasl2 does it, as a server inside this program, with the keys that are stored for a user; its plugin for
// SCRAM is the only one that it may load, and it reads no configuration.
//
// libsasl2's callbacks are synchronous, so the keys are fetched before it is asked: the user's name is read from the
// client's first message here.
//
// Loop thread only.
#pragma once

#include "dovecot-auth/sasl/mechanism.h"

namespace vmail::auth::sasl {

inline constexpr std::string_view kScram = "SCRAM-SHA-256";

// Why libsasl2 cannot do it on this host, in words; empty when it can.
std::string why_no_scram();
// Only when it can.
std::unique_ptr<Mechanism> make_scram();

}  // namespace vmail::auth::sasl
