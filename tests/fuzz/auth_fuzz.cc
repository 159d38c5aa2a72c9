// The decoder of the Dovecot auth protocol: every split gives the same requests, and what a client called itself cannot
// make a second line of a reply. What comes out goes through the mechanisms too.
#include <algorithm>
#include <string>
#include <vector>

#include "dovecot-auth/postfix/codec.h"
#include "dovecot-auth/sasl/mechanism.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::auth;
using namespace vmail::auth::postfix;

static vmail::fuzz::Reach reached_auth("an AUTH");
static vmail::fuzz::Reach reached_initial("its initial response");
static vmail::fuzz::Reach reached_continue("a CONT");
static vmail::fuzz::Reach reached_cancel("a CANCEL");
static vmail::fuzz::Reach reached_malformed("a malformed line");
static vmail::fuzz::Reach reached_half("half a line");
static vmail::fuzz::Reach reached_check("a mechanism's user and password");
static vmail::fuzz::Reach reached_keys("a first message of SCRAM");
static vmail::fuzz::Reach reached_invalid("a response that no mechanism takes");

namespace {

void check_one_line(const std::string& reply) {
  require(!reply.empty() && reply.find('\n') == reply.size() - 1, "a reply is one line");
}

std::string run(const sasl::Step& step, std::uint32_t id) {
  if (const auto* challenge = std::get_if<sasl::Challenge>(&step)) {
    check_one_line(go_on(id, challenge->text));
    return "challenge";
  }
  if (const auto* check = std::get_if<sasl::Check>(&step)) {
    reached_check.hit();
    require(!check->user.empty(), "a check has a user");
    check_one_line(ok(id, check->user));
    check_one_line(fail(id, check->user, "reason"));
    return "check " + check->user + '\n' + check->password.text();
  }
  if (const auto* wanted = std::get_if<sasl::NeedKeys>(&step)) {
    reached_keys.hit();
    require(!wanted->user.empty(), "keys are somebody's");
    return "keys " + wanted->user;
  }
  const auto& invalid = std::get<sasl::Invalid>(step);
  reached_invalid.hit();
  check_one_line(fail(id, invalid.user, invalid.why));
  return "invalid " + invalid.user;
}

std::string describe(const Event& event) {
  if (const auto* auth = std::get_if<Auth>(&event)) {
    reached_auth.hit();
    std::string text = "auth " + std::to_string(auth->id) + auth->mechanism + '\n' + auth->service + '\n' +
                       auth->remote_ip + '\n' + auth->session + '\n';
    if (auth->initial) reached_initial.hit();
    if (const auto mechanism = sasl::make_mechanism(auth->mechanism)) {
      const bool has_bytes = auth->initial && auth->initial->is_base64;
      text += run(mechanism->start(has_bytes ? std::optional(auth->initial->bytes.view()) : std::nullopt), auth->id);
      text += run(mechanism->respond(auth->session), auth->id);
    }
    return text;
  }
  if (const auto* more = std::get_if<Continue>(&event)) {
    reached_continue.hit();
    return "cont " + std::to_string(more->id) + (more->response.is_base64 ? more->response.bytes.text() : "bad");
  }
  if (const auto* cancel = std::get_if<Cancel>(&event)) {
    reached_cancel.hit();
    return "cancel " + std::to_string(cancel->id);
  }
  reached_malformed.hit();
  return "malformed";
}

std::vector<std::string> decode(std::string_view bytes, std::size_t step) {
  Decoder decoder;
  std::vector<std::string> seen;
  while (!bytes.empty()) {
    const std::vector<char> piece(bytes.begin(), bytes.begin() + static_cast<long>(std::min(step, bytes.size())));
    bytes.remove_prefix(piece.size());
    decoder.feed({piece.data(), piece.size()});
    for (;;) {
      const Event event = decoder.next();
      if (std::holds_alternative<NeedMore>(event)) break;
      seen.push_back(describe(event));
      if (std::holds_alternative<Malformed>(event)) return seen;
    }
  }
  if (!decoder.empty()) reached_half.hit();
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vmail::fuzz::check_splits(decode, data, size);
}
