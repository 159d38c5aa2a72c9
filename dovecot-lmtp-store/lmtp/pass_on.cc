#include "dovecot-lmtp-store/lmtp/pass_on.h"

namespace vmail::lmtp {
namespace {

// RFC 3463 section 3: mailbox status, mail system status (5.3.4, too big), policy.
bool is_about_mail(const std::string& enhanced) {
  return enhanced.starts_with("5.2.") || enhanced.starts_with("5.3.") || enhanced.starts_with("5.7.");
}

}  // namespace

Passed pass_on(Reply said, Stage stage) {
  const int kind = said.code / 100;
  if (kind == 2 && stage == Stage::Text) {
    said.code = 250;
    if (said.enhanced.empty()) said.enhanced = "2.0.0";
    return {std::move(said)};
  }
  if (kind == 4) {
    if (said.code == 421) said.code = 451;
    if (said.enhanced.empty()) said.enhanced = "4.3.0";
    return {std::move(said)};
  }
  const bool protocol = said.code <= 509 || said.code == 555;
  const bool heard = stage == Stage::Text || (stage == Stage::Envelope && is_about_mail(said.enhanced));
  if (kind == 5 && !protocol && heard) {
    if (said.enhanced.empty()) said.enhanced = "5.0.0";
    return {std::move(said)};
  }
  return {{451, "4.3.0", "Temporary internal error"}, true};
}

}  // namespace vmail::lmtp
