#include "dovecot-auth/client/ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

namespace vmail::auth::client {
namespace {

constexpr const char* kTooLate = "no answer in time";

// Waits until `fd` is ready for `events`, has failed or has ended. False at the deadline.
bool wait_for(int fd, short events, long long deadline_ms) {
  for (;;) {
    const long long left = deadline_ms - now_ms();
    if (left <= 0) return false;
    pollfd waiting = {fd, events, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

int connect_to(const char* path, long long deadline_ms, const char** why) {
  sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address.sun_path) {
    *why = "the path is longer than 107 bytes";
    return -1;
  }
  memcpy(address.sun_path, path, strlen(path) + 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    *why = strerror(errno);
    return -1;
  }
  while (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EINTR) continue;
    // A UNIX socket whose backlog is full says EAGAIN, and poll(2) cannot wait for that.
    if (errno == EAGAIN && now_ms() < deadline_ms) {
      const timespec pause = {0, 10 * 1000 * 1000};
      nanosleep(&pause, nullptr);
      continue;
    }
    *why = errno == EAGAIN ? kTooLate : strerror(errno);
    close(fd);
    return -1;
  }
  return fd;
}

bool has_hung_up(int error) {
  return error == EPIPE || error == ECONNRESET;
}

// `gone`: the peer has hung up before it got, or answered, the request.
bool send_all(int fd, const char* text, size_t size, long long deadline_ms, const char** why, bool* gone) {
  while (size > 0) {
    const ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
    if (sent > 0) {
      text += sent;
      size -= static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline_ms)) {
        *why = kTooLate;
        return false;
      }
    } else if (errno != EINTR) {
      *gone = has_hung_up(errno);
      *why = strerror(errno);
      return false;
    }
  }
  return true;
}

long read_line(int fd, char* reply, size_t capacity, long long deadline_ms, const char** why, bool* gone) {
  size_t size = 0;
  while (size < capacity) {
    const ssize_t got = recv(fd, reply + size, capacity - size, 0);
    if (got > 0) {
      char* end = static_cast<char*>(memchr(reply + size, '\n', static_cast<size_t>(got)));
      size += static_cast<size_t>(got);
      if (end != nullptr) {
        *end = '\0';
        return end - reply;
      }
    } else if (got == 0) {
      *gone = size == 0;
      *why = "it hung up without an answer";
      return -1;
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, deadline_ms)) {
        *why = kTooLate;
        return -1;
      }
    } else if (errno != EINTR) {
      *gone = size == 0 && has_hung_up(errno);
      *why = strerror(errno);
      return -1;
    }
  }
  *why = "its answer is too long";
  return -1;
}

// Nothing is there to be read, not even the end: the next thing that comes is the answer to the next request.
bool is_quiet(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

}  // namespace

long long now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<long long>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

long Connection::ask(const char* socket_path, const char* request, size_t size, char* reply, size_t capacity,
                     long long deadline_ms, const char** why) {
  if (fd_ >= 0 && (owner_ != getpid() || !is_quiet(fd_))) close();
  for (;;) {
    const bool kept = fd_ >= 0;
    if (!kept) {
      fd_ = connect_to(socket_path, deadline_ms, why);
      if (fd_ < 0) return -1;
      owner_ = getpid();
    }
    bool gone = false;
    long length = -1;
    if (send_all(fd_, request, size, deadline_ms, why, &gone)) {
      length = read_line(fd_, reply, capacity, deadline_ms, why, &gone);
    }
    if (length >= 0) return length;
    close();
    if (!kept || !gone) return -1;
  }
}

void Connection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

long ask(const char* socket_path, const char* request, size_t size, char* reply, size_t capacity, long long deadline_ms,
         const char** why) {
  Connection connection;
  const long length = connection.ask(socket_path, request, size, reply, capacity, deadline_ms, why);
  connection.close();
  return length;
}

long read_strings(int fd, int count, char* buffer, size_t capacity, long long deadline_ms, const char** why) {
  size_t size = 0;
  while (count > 0) {
    if (!wait_for(fd, POLLIN, deadline_ms)) {
      *why = kTooLate;
      return -1;
    }
    // One byte more than fits tells what is too long from what just fits.
    char extra;
    const bool full = size == capacity;
    const ssize_t got = read(fd, full ? &extra : buffer + size, full ? 1 : capacity - size);
    if (got == 0) break;
    if (got > 0 && full) {
      *why = "it is too long";
      return -1;
    }
    for (ssize_t i = 0; i < got; ++i) {
      if (buffer[size++] == '\0') --count;
    }
    if (got < 0 && errno != EINTR && errno != EAGAIN) {
      *why = strerror(errno);
      return -1;
    }
  }
  return static_cast<long>(size);
}

}  // namespace vmail::auth::client
