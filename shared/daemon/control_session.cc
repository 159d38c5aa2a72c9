#include "shared/daemon/control_session.h"

#include <unistd.h>

#include "shared/base/secret.h"
#include "shared/runtime/log.h"

namespace vmail::daemon {
namespace {

// What vmailctl read from an administrator is not left in memory.
void wipe_password(nlohmann::json& request) {
  const auto password = request.find("password");
  if (password != request.end() && password->is_string()) wipe(password->get_ref<std::string&>());
}

class ControlSession final : public Session {
 public:
  ControlSession(Channel& channel, ControlHandler handler) : channel_(channel), handler_(std::move(handler)) {
    channel_.set_deadline(std::chrono::seconds(60), "control: no request for a minute");
  }

  void on_bytes(std::string_view bytes) override {
    decoder_.feed(bytes);
    proceed();
  }
  void on_end_of_input() override { on_drain(); }
  void on_drain() override {
    ending_ = true;
    if (!busy_) channel_.close();
  }

 private:
  void proceed() {
    nlohmann::json request;
    std::string why;
    while (!busy_ && channel_.is_open()) {
      switch (decoder_.next(request, why)) {
        case control::Decoder::State::NeedMore:
          return;
        case control::Decoder::State::Malformed:
          log::warning("control: {} sent {}; closed", channel_.peer().address, why);
          return channel_.close();
        case control::Decoder::State::Message:
          answer(request);
          wipe_password(request);
      }
    }
  }

  void answer(const nlohmann::json& request) {
    busy_ = true;
    channel_.pause();
    const auto reply = [this](const nlohmann::json& value) {
      if (!busy_) return;  // it has been answered with an error
      busy_ = false;
      channel_.send(control::encode(value));
      if (ending_) return channel_.close();
      channel_.resume();
    };
    inside_ = true;
    try {
      handler_(request, [this, reply, weak = weak_from_this()](const nlohmann::json& value) {
        const auto self = weak.lock();
        if (!self) return;
        reply(value);
        if (!inside_) proceed();
      });
    } catch (const nlohmann::json::exception&) {
      reply({{"error",
              "the request has a field missing or of another type; are vmailctl and the daemon of one version?"}});
    }
    inside_ = false;
  }

  Channel& channel_;
  ControlHandler handler_;
  control::Decoder decoder_;
  bool busy_ = false;    // a request is unanswered
  bool inside_ = false;  // its handler has not returned
  bool ending_ = false;  // close when it is answered
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
