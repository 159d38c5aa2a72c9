#include "dovecot-auth/policy-http/session.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "shared/daemon/http_session.h"
#include "shared/runtime/log.h"

namespace vmail::auth::policy {
namespace {

constexpr std::string_view kJson = "application/json";

// In a time that does not depend on where the two differ.
bool equal(std::string_view given, std::string_view token) {
  return given.size() == token.size() && CRYPTO_memcmp(given.data(), token.data(), token.size()) == 0;
}

std::string plain(int status, std::string_view text, std::string_view allow = {}) {
  return http::response(status, http::kPlainText, std::string(text) + '\n', allow);
}

// The value of `command` in a query.
std::string_view command_of(std::string_view query) {
  constexpr std::string_view kName = "command=";
  while (!query.empty()) {
    const auto part = query.substr(0, query.find('&'));
    if (part.starts_with(kName)) return part.substr(kName.size());
    query.remove_prefix(std::min(part.size() + 1, query.size()));
  }
  return {};
}

}  // namespace

std::string answer(const http::Request& request, const Secret& token, const Throttling& throttling) {
  if (!equal(request.field, token.view())) {
    log::warning("auth policy: refused: the field X-API-Key does not hold the token (auth_policy_server_api_header)");
    return plain(401, "The field X-API-Key must hold the token.");
  }
  if (request.method != "POST") return plain(405, "Questions are posted.", "POST");
  const auto command = command_of(request.query);
  if (command != "allow" && command != "report") return plain(404, "The commands are allow and report.");
  std::string why;
  const auto question = parse_question(request.body, why);
  if (!question) {
    log::warning("auth policy: {}", why);
    return plain(400, why);
  }
  if (command == "report") {
    throttling.report(*question);
    return http::response(200, kJson, allowed());
  }
  const auto reason = throttling.why_not(*question);
  return http::response(200, kJson, reason ? refused(*reason) : allowed());
}

std::shared_ptr<Session> open_session(Channel& channel, const Secret& token, const Throttling& throttling) {
  return std::make_shared<http::HttpSession>(
      channel, http::Decoder(kMaxBody, kTokenField), "auth policy: no whole request in time",
      [&token, &throttling](const http::Request& request) { return answer(request, token, throttling); });
}

}  // namespace vmail::auth::policy
