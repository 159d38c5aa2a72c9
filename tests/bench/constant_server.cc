// The ceiling that the benchmarks compare with: a socketmap server that answers "OK 1" to whatever it is asked. One
// thread, plain epoll, nothing else to do.
//
//   constant_server PATH      listens on that UNIX socket until it is killed
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>

namespace {

constexpr std::string_view kReply = "4:OK 1,";

int fail(const char* what) {
  std::perror(what);
  return 1;
}

// Takes the whole netstrings from the front of `input` and returns how many there were.
std::size_t take_requests(std::string_view& input) {
  std::size_t requests = 0;
  for (;;) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(input.data(), input.data() + input.size(), length);
    const auto digits = static_cast<std::size_t>(end - input.data());
    if (error != std::errc() || input.size() < digits + 1 + length + 1) return requests;
    input.remove_prefix(digits + 1 + length + 1);
    ++requests;
  }
}

}  // namespace

int main(int argc, char** argv) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (argc != 2 || std::strlen(argv[1]) >= sizeof address.sun_path) {
    std::fputs("usage: constant_server PATH\n", stderr);
    return 2;
  }
  std::strcpy(address.sun_path, argv[1]);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return fail(argv[1]);
  if (::listen(listener, 1024) != 0) return fail("listen");
  const int poller = ::epoll_create1(EPOLL_CLOEXEC);
  const auto watch = [poller](int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return ::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0;
  };
  if (!watch(listener)) return fail("epoll_ctl");

  std::unordered_map<int, std::string> halves;  // of requests that came in pieces
  char buffer[65536];
  epoll_event events[64];
  for (;;) {
    const int ready = ::epoll_wait(poller, events, 64, -1);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (accepted >= 0 && !watch(accepted)) return fail("epoll_ctl");
        continue;
      }
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) {
        ::close(fd);
        halves.erase(fd);
        continue;
      }
      std::string_view input(buffer, static_cast<std::size_t>(got));
      std::string whole;
      if (!halves.empty()) {
        if (const auto half = halves.find(fd); half != halves.end()) {
          whole = std::move(half->second) + std::string(input);
          halves.erase(half);
          input = whole;
        }
      }
      for (std::size_t requests = take_requests(input); requests > 0; --requests) {
        if (::send(fd, kReply.data(), kReply.size(), MSG_NOSIGNAL) < 0) break;
      }
      if (!input.empty()) halves[fd] = input;
    }
  }
}
