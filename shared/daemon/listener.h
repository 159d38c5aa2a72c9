// Accepts connections for one Endpoint: bounds their number, checks who they are, and holds their channels. Loop thread
// only.
#pragma once

#include <asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "shared/base/networks.h"
#include "shared/base/unique_fd.h"
#include "shared/daemon/daemon.h"
#include "shared/runtime/log.h"

namespace vmail::daemon {

// A socket that listens; `path` is set when we made the file and have to remove it at the end.
struct ListeningSocket {
  UniqueFd fd;
  std::string path;
};

// Binds "unix:/path" or "inet:address:port". Throws config::Error: somebody else listens there, the folder is missing
// or not ours, TCP beyond loopback without networks.
ListeningSocket bind_endpoint(const std::string& listen, mode_t mode, const Networks& networks);

class Listener {
 public:
  // `all_gone` is called on the loop each time the last connection of a draining listener has gone.
  Listener(Loop& loop, Endpoint endpoint, std::vector<ListeningSocket> sockets, MoveOnlyFunction<void()> all_gone);
  ~Listener();

  // Stops accepting and lets the sessions end.
  void drain();
  // Ends what has not drained in time.
  void abort_all();
  std::size_t connections() const { return channels_.size(); }
  // Since the start: served, closed because max_connections were open, refused because they may not connect here.
  std::uint64_t served() const { return served_; }
  std::uint64_t over_limit() const { return over_limit_; }
  std::uint64_t refused() const { return refused_; }
  const std::string& name() const { return endpoint_.name; }
  // Where it listens, as in Endpoint::listen.
  std::vector<std::string> addresses() const;

 private:
  struct Acceptor {
    Acceptor(Loop& loop, ListeningSocket socket)
        : descriptor(loop.io(), socket.fd.release()), pause(loop), path(std::move(socket.path)) {}
    asio::posix::stream_descriptor descriptor;
    Timer pause;
    std::string path;
  };

  void wait(Acceptor& acceptor);
  void accept_some(Acceptor& acceptor);
  void serve(UniqueFd fd);

  Loop& loop_;
  Endpoint endpoint_;
  Networks networks_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::unordered_map<Channel*, std::shared_ptr<Channel>> channels_;
  MoveOnlyFunction<void()> all_gone_;
  bool draining_ = false;
  std::uint64_t served_ = 0, over_limit_ = 0, refused_ = 0;
  log::Throttle over_limit_log_, refused_log_;
};

}  // namespace vmail::daemon
