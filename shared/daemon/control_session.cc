#include "shared/daemon/control_session.h"

#include <unistd.h>

#include "shared/runtime/log.h"

namespace vmail::daemon {
namespace {

class ControlSession final : public Session {
 public:
  ControlSession(Channel& channel, ControlHandler handler) : channel_(channel), handler_(std::move(handler)) {
    channel_.set_deadline(std::chrono::seconds(60), "control: no request for a minute");
  }

  void on_bytes(std::string_view bytes) override {
    decoder_.feed(bytes);
    nlohmann::json request;
    std::string why;
    for (;;) {
      switch (decoder_.next(request, why)) {
        case control::Decoder::State::NeedMore:
          return;
        case control::Decoder::State::Malformed:
          log::warning("control: {} sent {}; closed", channel_.peer().address, why);
          return channel_.close();
        case control::Decoder::State::Message:
          channel_.send(control::encode(answer(request)));
      }
    }
  }
  void on_end_of_input() override { channel_.close(); }
  void on_drain() override { channel_.close(); }

 private:
  nlohmann::json answer(const nlohmann::json& request) {
    try {
      return handler_(request);
    } catch (const nlohmann::json::exception&) {
      return {
          {"error", "the request has a field missing or of another type; are vmailctl and the daemon of one version?"}};
    }
  }

  Channel& channel_;
  ControlHandler handler_;
  control::Decoder decoder_;
};

}  // namespace

Endpoint control_endpoint(const std::string& path, ControlHandler handler) {
  Endpoint endpoint;
  endpoint.name = "control";
  endpoint.listen = {"unix:" + path};
  endpoint.mode = 0600;
  endpoint.max_connections = 16;
  endpoint.admit = [](const Peer& peer) { return peer.uid == 0 || peer.uid == ::geteuid(); };
  endpoint.open = [handler = std::move(handler)](Channel& channel) {
    return std::make_shared<ControlSession>(channel, handler);
  };
  return endpoint;
}

}  // namespace vmail::daemon
