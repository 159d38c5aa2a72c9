// One connection of HTTP: one request, one response, and its end.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "shared/daemon/http_codec.h"
#include "shared/runtime/channel.h"

namespace vmail::http {

// Loop thread only. `late` is logged when no whole request comes in time, and lives as long as the program; `answer`
// makes the whole response().
class HttpSession final : public Session {
 public:
  using Answer = std::function<std::string(const Request&)>;
  HttpSession(Channel& channel, Decoder decoder, const char* late, Answer answer);

  void on_bytes(std::string_view bytes) override;
  void on_end_of_input() override { channel_.close(); }
  void on_drain() override { channel_.close(); }

 private:
  Channel& channel_;
  Decoder decoder_;
  Answer answer_;
};

inline constexpr std::string_view kPlainText = "text/plain; charset=utf-8";

}  // namespace vmail::http
