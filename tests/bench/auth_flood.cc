// Guesses at passwords, at the SASL socket of vmail-authd or Dovecot, as many a second as are asked for while there is
// room for them: each with another password, from one network after the other. Whatever the answers are. One thread.
//
//   auth_flood --socket PATH --users FILE --rate N --networks N --clients N --depth N --seconds S
//
// FILE holds addresses, one a line, which are guessed at in turns. `depth` is how many guesses a connection has out.
// Prints one JSON object.
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/base64.h"
#include "tests/bench/unix_socket.h"

namespace {

using vmail::bench::UnixSocket;
using Clock = std::chrono::steady_clock;

struct Connection {
  std::unique_ptr<UnixSocket> socket;
  std::string begun;  // of a line
  std::size_t out = 0;
  std::uint64_t id = 0;
};

class Flood {
 public:
  explicit Flood(std::map<std::string, std::string> options) : options_(std::move(options)) {
    std::ifstream file(option("--users"));
    for (std::string user; std::getline(file, user);) users_.push_back(user);
    if (users_.empty()) throw std::runtime_error("there are no users");
    poller_ = ::epoll_create1(EPOLL_CLOEXEC);
    connections_.resize(number("--clients"));
    for (auto& connection : connections_) open(connection);
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  ~Flood() { ::close(poller_); }

  void run() {
    const auto start = Clock::now();
    const double seconds = std::stod(option("--seconds")), rate = std::stod(option("--rate"));
    const std::size_t depth = number("--depth"), networks = number("--networks");
    for (double at = 0; at < seconds; at = std::chrono::duration<double>(Clock::now() - start).count()) {
      // What found no room is not made up for later.
      const auto due = static_cast<std::uint64_t>(at * rate);
      for (std::size_t full = 0; offered_ < due && full < connections_.size(); ++next_) {
        Connection& connection = connections_[next_ % connections_.size()];
        if (connection.out >= depth) {
          ++full;
          continue;
        }
        guess(connection, networks);
        ++offered_;
      }
      offered_ = due;
      epoll_event events[64];
      const int ready = ::epoll_wait(poller_, events, 64, 1);
      for (int i = 0; i < ready; ++i) receive(connections_[events[i].data.u64]);
    }
    std::printf("{\"sent\": %llu, \"refused\": %llu, \"accepted\": %llu, \"closed\": %llu, \"seconds\": %.3f}\n", sent_,
                refused_, accepted_, closed_, seconds);
  }

 private:
  const std::string& option(const std::string& name) const { return options_.at(name); }
  std::size_t number(const std::string& name) const { return std::stoul(option(name)); }

  void open(Connection& connection) {
    const auto number = static_cast<std::uint64_t>(&connection - connections_.data());
    connection.socket = std::make_unique<UnixSocket>(option("--socket"));
    connection.begun.clear();
    connection.out = 0;
    connection.socket->send("VERSION\t1\t0\nCPID\t" + std::to_string(5000 + number) + "\n");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = number;
    if (::epoll_ctl(poller_, EPOLL_CTL_ADD, connection.socket->fd(), &event) != 0) vmail::bench::fail("epoll_ctl");
  }

  void guess(Connection& connection, std::size_t networks) {
    const auto& user = users_[sent_ % users_.size()];
    const auto network = sent_ % networks;
    const std::string response = '\0' + user + '\0' + "guess" + std::to_string(sent_);
    const std::string request = "AUTH\t" + std::to_string(++connection.id) +
                                "\tPLAIN\tservice=imap\tnologin\tlip=192.0.2.1\trip=203." +
                                std::to_string(network / 250) + '.' + std::to_string(network % 250) +
                                ".7\tsecured\tresp=" + vmail::base64_encode(response) + '\n';
    if (::send(connection.socket->fd(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT) !=
        static_cast<ssize_t>(request.size())) {
      return reopen(connection);
    }
    ++connection.out;
    ++sent_;
  }

  void receive(Connection& connection) {
    char buffer[8192];
    const ssize_t got = ::recv(connection.socket->fd(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    // How the server says that it cannot tell now.
    if (got <= 0) return reopen(connection);
    connection.begun.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t end; (end = connection.begun.find('\n')) != std::string::npos;
         connection.begun.erase(0, end + 1)) {
      const bool ok = connection.begun.starts_with("OK\t");
      if (!ok && !connection.begun.starts_with("FAIL\t")) continue;
      connection.out -= std::min<std::size_t>(connection.out, 1);
      ++(ok ? accepted_ : refused_);
    }
  }

  void reopen(Connection& connection) {
    ++closed_;
    open(connection);
  }

  const std::map<std::string, std::string> options_;
  std::vector<std::string> users_;
  std::vector<Connection> connections_;
  int poller_ = -1;
  std::size_t next_ = 0;
  std::uint64_t offered_ = 0;
  unsigned long long sent_ = 0, refused_ = 0, accepted_ = 0, closed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    std::map<std::string, std::string> options;
    for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
    Flood(std::move(options)).run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "auth_flood: %s\n", error.what());
    return 1;
  }
}
