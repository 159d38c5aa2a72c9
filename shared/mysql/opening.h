// A connection that is being made, on a thread of its own: the client library waits in whole seconds and cannot be
// interrupted while it connects, and a question has less time than that for each of several hosts.
#pragma once

#include <chrono>
#include <memory>

#include "shared/mysql/connection.h"

namespace vmail::mysql {

class Opening {
 public:
  // Begins. Throws Error.
  Opening(const Options& options, const Host& host);
  ~Opening();  // the connection that nobody has taken is closed when it comes
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  // Once. Throws Error: that of the attempt, or Lost when it takes longer than options.connect_timeout or is cancelled.
  std::unique_ptr<Connection> wait();
  // From any thread while the Opening lives.
  void cancel();

 private:
  struct State;
  const std::shared_ptr<State> state_;
  const Host host_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace vmail::mysql
