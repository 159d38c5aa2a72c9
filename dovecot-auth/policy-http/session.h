// The auth policy endpoint: Dovecot asks before each login whether it may be tried, and reports how it went, so that a
// site that keeps `passdb sql` has part in the one throttle.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "dovecot-auth/policy-http/question.h"
#include "shared/base/secret.h"
#include "shared/daemon/http_codec.h"
#include "shared/runtime/channel.h"

namespace vmail::auth::policy {

// What is asked of the throttle.
struct Throttling {
  // Nothing: the login may be tried. Otherwise why not, in words.
  std::function<std::optional<std::string>(const Question&)> why_not;
  std::function<void(const Question&)> report;
};

// The whole response to a request that was read with http::Decoder(kMaxBody, kTokenField). `token` is what that field
// has to hold.
inline constexpr std::string_view kTokenField = "X-API-Key";
std::string answer(const http::Request& request, const Secret& token, const Throttling& throttling);

// A connection; `token` and `throttling` outlive it. Loop thread only.
std::shared_ptr<Session> open_session(Channel& channel, const Secret& token, const Throttling& throttling);

}  // namespace vmail::auth::policy
