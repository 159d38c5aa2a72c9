#include "shared/control/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "shared/base/unique_fd.h"

namespace vmail::control {
namespace {

using Clock = std::chrono::steady_clock;

Error no_answer(const std::string& path) {
  return Error(path + ": no answer in time; is the daemon stuck? See its log");
}

void wait_for(int fd, short events, Clock::time_point until, const std::string& path) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd entry{fd, events, 0};
    const int ready = left > 0 ? ::poll(&entry, 1, static_cast<int>(left)) : 0;
    if (ready > 0) return;
    if (ready == 0) throw no_answer(path);
    if (errno != EINTR) throw Error(path + ": poll: " + std::strerror(errno));
  }
}

UniqueFd connect_to(const std::string& path, std::chrono::milliseconds deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw Error(path + ": too long for the path of a UNIX socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw Error(std::string("socket: ") + std::strerror(errno));
  // A daemon that is stuck does not accept, and once its backlog is full connect() itself waits (unix(7)).
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(deadline);
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(deadline - seconds);
  const timeval limit{static_cast<time_t>(seconds.count()), static_cast<suseconds_t>(rest.count())};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    const std::string what = path + ": " + std::strerror(error);
    if (error == ENOENT || error == ECONNREFUSED) throw NobodyListens(what + " (is the daemon running?)");
    if (error == EAGAIN) throw no_answer(path);
    if (error == EACCES) throw NotPermitted(what + " (only root and the daemon's own user may)");
    throw Error(what);
  }
  return fd;
}

}  // namespace

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
  buffer_.erase(0, 4 + length);
  if (!message.is_object()) {
    why = "a frame that is not a JSON object";
    return State::Malformed;
  }
  return State::Message;
}

nlohmann::json call(const std::string& socket_path, const nlohmann::json& request, std::chrono::milliseconds deadline) {
  const auto until = Clock::now() + deadline;
  const UniqueFd fd = connect_to(socket_path, deadline);
  const std::string frame = encode(request);
  for (std::size_t done = 0; done < frame.size();) {
    wait_for(fd.get(), POLLOUT, until, socket_path);
    const ssize_t sent = ::send(fd.get(), frame.data() + done, frame.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) throw Error(socket_path + ": send: " + std::strerror(errno));
    if (sent > 0) done += static_cast<std::size_t>(sent);
  }
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
    wait_for(fd.get(), POLLIN, until, socket_path);
    char buffer[65536];
    const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got == 0) throw Error(socket_path + ": the daemon closed without an answer (peer not permitted?)");
    if (got < 0 && errno != EAGAIN && errno != EINTR) throw Error(socket_path + ": recv: " + std::strerror(errno));
    if (got > 0) decoder.feed(std::string_view(buffer, static_cast<std::size_t>(got)));
  }
}

}  // namespace vmail::control
