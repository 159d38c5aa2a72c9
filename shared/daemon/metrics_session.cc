#include "shared/daemon/metrics_session.h"

#include "shared/daemon/http_session.h"

namespace vmail::daemon {
namespace {

std::string answer(const http::Request& request, const metrics::Registry& registry) {
  if (request.path != "/metrics") return http::response(404, http::kPlainText, "The metrics are at /metrics.\n");
  if (request.method != "GET" && request.method != "HEAD") {
    return http::response(405, http::kPlainText, "Metrics can only be read: GET.\n", "GET, HEAD");
  }
  return http::response(200, "text/plain; version=0.0.4; charset=utf-8", registry.text());
}

}  // namespace

Endpoint metrics_endpoint(std::vector<std::string> listen, const metrics::Registry& registry) {
  Endpoint endpoint;
  endpoint.name = "metrics";
  endpoint.listen = std::move(listen);
  endpoint.max_connections = 16;
  endpoint.open = [&registry](Channel& channel) {
    return std::make_shared<http::HttpSession>(
        channel, http::Decoder(), "metrics: no whole request in time",
        [&registry](const http::Request& request) { return answer(request, registry); });
  };
  return endpoint;
}

}  // namespace vmail::daemon
