#include "shared/control/blocking.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace vmail::control {
namespace {

using Clock = std::chrono::steady_clock;

Error no_answer(const std::string& path) {
  return Error(path + ": no answer in time; is the daemon stuck? See its log");
}

UniqueFd open_socket(int flags) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd) throw Error(std::string("socket: ") + std::strerror(errno));
  return fd;
}

void connect_to(int fd, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw Error(path + ": too long for the path of a UNIX socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
  const int error = errno;
  const std::string what = path + ": " + std::strerror(error);
  if (error == ENOENT || error == ECONNREFUSED) throw NobodyListens(what + " (is the daemon running?)");
  if (error == EAGAIN) throw no_answer(path);
  if (error == EACCES) throw NotPermitted(what + " (only root and those the socket is for may)");
  throw Error(what);
}

UniqueFd connect_within(const std::string& path, std::chrono::milliseconds deadline) {
  UniqueFd fd = open_socket(0);
  // A daemon that is stuck does not accept, and once its backlog is full connect() itself waits (unix(7)).
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(deadline);
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(deadline - seconds);
  const timeval limit{static_cast<time_t>(seconds.count()), static_cast<suseconds_t>(rest.count())};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  connect_to(fd.get(), path);
  return fd;
}

}  // namespace

UniqueFd connect_now(const std::string& path) {
  UniqueFd fd = open_socket(SOCK_NONBLOCK);
  connect_to(fd.get(), path);
  return fd;
}

BlockingSocket::BlockingSocket(const std::string& path, std::chrono::milliseconds deadline)
    : path_(path), until_(Clock::now() + deadline), fd_(connect_within(path, deadline)) {}

void BlockingSocket::wait_for(short events) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until_ - Clock::now()).count();
    pollfd entry{fd_.get(), events, 0};
    const int ready = left > 0 ? ::poll(&entry, 1, static_cast<int>(left)) : 0;
    if (ready > 0) return;
    if (ready == 0) throw no_answer(path_);
    if (errno != EINTR) throw Error(path_ + ": poll: " + std::strerror(errno));
  }
}

void BlockingSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    wait_for(POLLOUT);
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) throw Error(path_ + ": send: " + std::strerror(errno));
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string BlockingSocket::receive() {
  std::string buffer(65536, '\0');
  for (;;) {
    wait_for(POLLIN);
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == 0) throw Error(path_ + ": the daemon closed without an answer (peer not permitted?)");
    if (got < 0 && errno != EAGAIN && errno != EINTR) throw Error(path_ + ": recv: " + std::strerror(errno));
    if (got <= 0) continue;
    buffer.resize(static_cast<std::size_t>(got));
    return buffer;
  }
}

}  // namespace vmail::control
