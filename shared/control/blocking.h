// Connections to a daemon's UNIX socket: a blocking one with one deadline for all that is done over it, for command
// line tools (one thread), and a bare one.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>

#include "shared/base/unique_fd.h"

namespace vmail::control {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// No socket, or nobody behind it: the daemon does not run.
class NobodyListens : public Error {
 public:
  using Error::Error;
};

// This user may not connect.
class NotPermitted : public Error {
 public:
  using Error::Error;
};

// A connection that is made without waiting, and does not block: for a loop thread. Throws one of the above.
UniqueFd connect_now(const std::string& path);

// Everything throws one of the above; all messages name the socket.
class BlockingSocket {
 public:
  // Connects.
  BlockingSocket(const std::string& path, std::chrono::milliseconds deadline);

  void send(std::string_view bytes);
  // What has come, at least one byte. The end of the stream is an error: an answer was due.
  std::string receive();

 private:
  void wait_for(short events);

  const std::string path_;
  const std::chrono::steady_clock::time_point until_;
  UniqueFd fd_;
};

}  // namespace vmail::control
