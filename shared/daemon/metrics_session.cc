#include "shared/daemon/metrics_session.h"

#include "shared/daemon/http_codec.h"

namespace vmail::daemon {
namespace {

constexpr std::string_view kPlain = "text/plain; charset=utf-8";

class MetricsSession final : public Session {
 public:
  MetricsSession(Channel& channel, const metrics::Registry& registry) : channel_(channel), registry_(registry) {
    channel_.set_deadline(std::chrono::seconds(10), "metrics: no whole request in time");
  }

  void on_bytes(std::string_view bytes) override {
    switch (decoder_.feed(bytes)) {
      case http::Decoder::Event::NeedMore:
        return;
      case http::Decoder::Event::Refused:
        channel_.send(http::response(decoder_.status(), kPlain, std::string(decoder_.why()) + '\n'));
        break;
      case http::Decoder::Event::Request:
        channel_.send(answer(decoder_.request()));
        break;
    }
    channel_.close();
  }
  void on_end_of_input() override { channel_.close(); }
  void on_drain() override { channel_.close(); }

 private:
  std::string answer(const http::Request& request) const {
    if (request.path != "/metrics") return http::response(404, kPlain, "The metrics are at /metrics.\n");
    if (request.method != "GET") return http::response(405, kPlain, "Metrics can only be read: GET.\n", "GET");
    return http::response(200, "text/plain; version=0.0.4; charset=utf-8", registry_.text());
  }

  Channel& channel_;
  const metrics::Registry& registry_;
  http::Decoder decoder_;
};

}  // namespace

Endpoint metrics_endpoint(std::vector<std::string> listen, const metrics::Registry& registry) {
  Endpoint endpoint;
  endpoint.name = "metrics";
  endpoint.listen = std::move(listen);
  endpoint.max_connections = 16;
  endpoint.open = [&registry](Channel& channel) { return std::make_shared<MetricsSession>(channel, registry); };
  return endpoint;
}

}  // namespace vmail::daemon
