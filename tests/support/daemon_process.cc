#include "tests/support/daemon_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace vmail::test {
namespace {

// Only against hangs: no test waits for it to pass.
constexpr int kHangMs = 60000;

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error(path + ": too long for a socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, kHangMs) > 0;
}

}  // namespace

UniqueFd listen_unix(const std::string& path) {
  const auto address = unix_address(path);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  ::chmod(path.c_str(), 0666);
  if (::listen(fd.get(), 128) != 0) fail("listen");
  return fd;
}

UniqueFd connect_unix(const std::string& path) {
  const auto address = unix_address(path);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

UniqueFd connect_loopback(int port) {
  const auto address = loopback(port);
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

int free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) fail("bind");
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  return ntohs(address.sin_port);
}

std::string talk(int fd, const std::string& bytes, const std::string& until) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t sent = ::send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) break;
    done += static_cast<std::size_t>(sent);
  }
  std::string all;
  char buffer[4096];
  while (until.empty() || all.find(until) == std::string::npos) {
    if (!readable(fd)) throw std::runtime_error("no answer; so far: " + all);
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    all.append(buffer, static_cast<std::size_t>(got));
  }
  return all;
}

std::string read_to_end(int fd) {
  return talk(fd, "", "");
}

DaemonDir::DaemonDir() {
  if (::geteuid() == 0 && ::chown(path().c_str(), kNobody, kNobody) != 0) fail("chown");
  ::chmod(path().c_str(), 0755);
}

DaemonProcess::DaemonProcess(const TempDir& dir, const Start& start) : log_(dir.file("log")) {
  const std::string notify_path = dir.file("notify");
  ::unlink(notify_path.c_str());
  notify_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto address = unix_address(notify_path);
  if (::bind(notify_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  ::chmod(notify_path.c_str(), 0666);
  const UniqueFd log(::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644));
  if (!log) fail("open");

  std::vector<char*> arguments = {const_cast<char*>(start.program.c_str())};
  for (const auto& argument : start.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::string names;
  for (const auto& [name, fd] : start.sockets) names.append(names.empty() ? "" : ":").append(name);
  const bool drop = ::geteuid() == 0 && !start.as_root;
  // Opened while we may: the daemon's user need not be allowed into the build folder.
  const UniqueFd file(::open(start.program.c_str(), O_PATH | O_CLOEXEC));
  if (!file) fail("open");
  const UniqueFd program(::fcntl(file.get(), F_DUPFD_CLOEXEC, 200));

  pid_ = ::fork();
  if (pid_ < 0) fail("fork");
  if (pid_ > 0) return;

  ::dup2(log.get(), STDOUT_FILENO);
  ::dup2(log.get(), STDERR_FILENO);
  // First out of the way of 3, 4..., where they are to be.
  std::vector<int> high;
  for (const auto& socket : start.sockets) high.push_back(::fcntl(socket.second, F_DUPFD_CLOEXEC, 100));
  for (std::size_t i = 0; i < high.size(); ++i) ::dup2(high[i], static_cast<int>(3 + i));
  ::unsetenv("LISTEN_PID");
  if (!high.empty()) {
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", std::to_string(high.size()).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  }
  ::setenv("NOTIFY_SOCKET", notify_path.c_str(), 1);
  if (drop && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(125);
  ::fexecve(program.get(), arguments.data(), environ);
  ::_exit(126);
}

DaemonProcess::~DaemonProcess() {
  if (pid_ > 0 && status_ < 0) {
    ::kill(pid_, SIGKILL);
    wait();
  }
  // What a sanitizer or an exception ended has said why.
  if (status_ != 0 && status_ != 78 && status_ != 128 + SIGKILL) std::fputs(output().c_str(), stderr);
}

std::string DaemonProcess::next_notice() {
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::recv(notify_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0) return std::string(buffer, static_cast<std::size_t>(got));
    if (has_ended()) return {};
    pollfd entry{notify_.get(), POLLIN, 0};
    ::poll(&entry, 1, 20);
  }
}

void DaemonProcess::signal(int number) {
  if (status_ < 0) ::kill(pid_, number);
}

bool DaemonProcess::has_ended() {
  if (status_ >= 0) return true;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

int DaemonProcess::wait() {
  for (int waited = 0; !has_ended(); waited += 5) {
    if (waited > kHangMs) ::kill(pid_, SIGKILL);
    ::usleep(5000);
  }
  return status_;
}

std::string DaemonProcess::output() const {
  std::ifstream file(log_);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace vmail::test
