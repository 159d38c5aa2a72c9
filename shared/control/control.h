// The control sockets that vmailctl speaks to: a request and a reply, each a JSON object behind its length (4 bytes,
// network order). Codec and a blocking client; the server stands in shared/daemon.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "shared/control/blocking.h"

namespace vmail::control {

inline constexpr std::size_t kMaxFrame = 1u << 20;

std::string encode(const nlohmann::json& message);

// Feed bytes, take messages. Pure: no descriptor, no clock, no log.
class Decoder {
 public:
  enum class State { NeedMore, Message, Malformed };
  void feed(std::string_view bytes) { buffer_ += bytes; }
  // Message: `message` is set. Malformed: nothing good can follow; `why` says what was wrong.
  State next(nlohmann::json& message, std::string& why);

 private:
  std::string buffer_;
};

// The daemon's own answer: a reply {"error": "..."}.
class Refused : public Error {
 public:
  using Error::Error;
};

// Blocking; for command line tools. Throws an Error, such as for a deadline that has passed.
nlohmann::json call(const std::string& socket_path, const nlohmann::json& request, std::chrono::milliseconds deadline);

}  // namespace vmail::control
