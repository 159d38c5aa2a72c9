#include "shared/control/control.h"

#include <string.h>

#include <nlohmann/json.hpp>

namespace vmail::control {

std::string encode(const nlohmann::json& message) {
  const std::string body = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string frame;
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(body.size() >> shift & 0xff);
  return frame + body;
}

Decoder::State Decoder::next(nlohmann::json& message, std::string& why) {
  if (buffer_.size() < 4) return State::NeedMore;
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(buffer_[i]);
  if (length > kMaxFrame) {
    why = "a frame of " + std::to_string(length) + " bytes (at most " + std::to_string(kMaxFrame) + ")";
    return State::Malformed;
  }
  if (buffer_.size() < 4 + length) return State::NeedMore;
  message = nlohmann::json::parse(buffer_.begin() + 4, buffer_.begin() + 4 + static_cast<std::ptrdiff_t>(length),
                                  nullptr, false);
  explicit_bzero(buffer_.data(), 4 + length);  // it may have held a password
  buffer_.erase(0, 4 + length);
  if (!message.is_object()) {
    why = "a frame that is not a JSON object";
    return State::Malformed;
  }
  return State::Message;
}

nlohmann::json call(const std::string& socket_path, const nlohmann::json& request, std::chrono::milliseconds deadline) {
  BlockingSocket socket(socket_path, deadline);
  socket.send(encode(request));
  Decoder decoder;
  nlohmann::json reply;
  std::string why;
  for (;;) {
    switch (decoder.next(reply, why)) {
      case Decoder::State::Message:
        if (const auto error = reply.find("error"); error != reply.end()) {
          throw Refused(socket_path + ": " + (error->is_string() ? error->get<std::string>() : error->dump()));
        }
        return reply;
      case Decoder::State::Malformed:
        throw Error(socket_path + ": the daemon sent " + why);
      case Decoder::State::NeedMore:
        break;
    }
    decoder.feed(socket.receive());
  }
}

}  // namespace vmail::control
