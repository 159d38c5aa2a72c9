// A connected UNIX socket of a client that is timed. Everything that fails throws std::runtime_error.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vmail::bench {

[[noreturn]] inline void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

class UnixSocket {
 public:
  explicit UnixSocket(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw std::runtime_error(path + " is too long");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail(path);
  }
  ~UnixSocket() { ::close(fd_); }
  UnixSocket(const UnixSocket&) = delete;
  UnixSocket& operator=(const UnixSocket&) = delete;

  int fd() const { return fd_; }
  // Small enough for the socket's buffer.
  void send(std::string_view bytes) {
    if (::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) fail("send");
  }
  // What is there, at least one byte, waiting for it; it points into `buffer`.
  template <std::size_t size>
  std::string_view receive(char (&buffer)[size]) {
    const ssize_t got = ::recv(fd_, buffer, size, 0);
    if (got == 0) throw std::runtime_error("the server closed a connection");
    if (got < 0) fail("recv");
    return {buffer, static_cast<std::size_t>(got)};
  }

 private:
  int fd_;
};

}  // namespace vmail::bench
