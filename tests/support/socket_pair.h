// A session on one end of a real socket pair, the test on the other; the loop turns only when the test says so.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "shared/base/unique_fd.h"
#include "shared/runtime/channel.h"
#include "shared/runtime/loop.h"

namespace vmail::test {

class SocketPair {
 public:
  // With its own loop.
  SocketPair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
      throw std::runtime_error("socketpair");
    }
    ours_ = UniqueFd(fds[0]);
    theirs_ = UniqueFd(fds[1]);
  }
  ~SocketPair() {
    if (channel_) channel_->abort();
    settle();
  }

  void open(const std::function<std::shared_ptr<Session>(Channel&)>& make, Peer peer = {}) {
    if (peer.address.empty()) peer.address = "test";
    channel_ = std::make_shared<Channel>(loop_, std::move(theirs_), std::move(peer));
    channel_->start(make(*channel_), [this](Channel&) { ++closed_calls_; });
    settle();
  }

  Loop& loop() { return loop_; }
  Channel& channel() { return *channel_; }
  int fd() const { return ours_.get(); }

  // Turns the loop until nothing is ready.
  void settle() {
    for (int turn = 0; turn < 8; ++turn) loop_.run_ready();
  }
  // All of it goes, with the loop turning when the socket is full.
  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(ours_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
      if (sent < 0 && errno != EAGAIN) return;  // closed by the session
      settle();
    }
  }
  // Everything that has come.
  std::string read() {
    std::string all;
    char buffer[65536];
    for (;;) {
      settle();
      const ssize_t got = ::recv(ours_.get(), buffer, sizeof buffer, 0);
      if (got == 0) end_seen_ = true;
      if (got <= 0) return all;
      all.append(buffer, static_cast<std::size_t>(got));
    }
  }
  // No more from us, as shutdown(2) and most clients' end do.
  void end_output() {
    ::shutdown(ours_.get(), SHUT_WR);
    settle();
  }
  void drain() {
    channel_->drain();
    settle();
  }
  void abort() {
    channel_->abort();
    settle();
  }
  // Lets go of the channel, as a listener does with one that has ended.
  void reset() {
    channel_->abort();
    channel_.reset();
    settle();
  }

  // Whether the session's end has closed, cleanly: the end of the stream has come, and the owner was told once.
  bool closed() {
    read();
    return end_seen_ && closed_calls_ == 1;
  }
  int closed_calls() const { return closed_calls_; }

 private:
  Loop loop_;
  UniqueFd ours_;
  UniqueFd theirs_;
  std::shared_ptr<Channel> channel_;
  int closed_calls_ = 0;
  bool end_seen_ = false;
};

}  // namespace vmail::test
