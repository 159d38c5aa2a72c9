// A client of vmail-authd's SASL socket that logs in as Postfix's smtpd does it (xsasl_dovecot_server.c): PLAIN, one
// login at a time on each connection, the next as soon as the last is answered. One thread.
//
//   auth_load --socket PATH --users FILE --password TEXT [--clients N] [--seconds S] [--pause MS]
//
// FILE holds addresses, one a line, which are taken in turns by all connections together. With a pause everything rests
// so long after each answer. Prints one JSON object.
#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "shared/base/base64.h"
#include "tests/bench/unix_socket.h"

namespace {

using vmail::bench::fail;
using vmail::bench::UnixSocket;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string socket, users, password;
  std::size_t clients = 1;
  double seconds = 1;
  useconds_t pause = 0;  // microseconds
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--socket") {
      options.socket = value;
    } else if (name == "--users") {
      options.users = value;
    } else if (name == "--password") {
      options.password = value;
    } else if (name == "--clients") {
      options.clients = std::stoul(value);
    } else if (name == "--seconds") {
      options.seconds = std::stod(value);
    } else if (name == "--pause") {
      options.pause = static_cast<useconds_t>(std::stoul(value) * 1000);
    } else {
      throw std::runtime_error("what is " + name + "?");
    }
  }
  return options;
}

class Client {
 public:
  Client(const std::string& path, std::size_t number)
      : socket_(path),
        parameters_("\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=198.51.100." +
                    std::to_string(1 + number % 250) + "\tsecured\tresp=") {
    socket_.send("VERSION\t1\t0\nCPID\t" + std::to_string(1000 + number) + "\n");
    while (line() != "DONE") {
    }
  }

  int fd() const { return socket_.fd(); }
  void log_in(const std::string& response) {
    request_.assign("AUTH\t").append(std::to_string(++id_)).append(parameters_).append(response).append("\n");
    socket_.send(request_);
    asked_ = Clock::now();
  }
  // The answer, which is waited for: whether it is OK.
  bool answer() {
    answer_ = line();
    return answer_.starts_with("OK\t");
  }
  const std::string& text() const { return answer_; }
  Clock::time_point asked() const { return asked_; }

 private:
  std::string line() {
    std::size_t end;
    while ((end = read_.find('\n')) == std::string::npos) {
      char buffer[4096];
      read_ += socket_.receive(buffer);
    }
    std::string text = read_.substr(0, end);
    read_.erase(0, end + 1);
    return text;
  }

  UnixSocket socket_;
  const std::string parameters_;
  std::string request_, read_, answer_;
  std::uint64_t id_ = 0;
  Clock::time_point asked_;
};

std::vector<std::string> read_responses(const Options& options) {
  std::ifstream file(options.users);
  std::vector<std::string> responses;
  for (std::string user; std::getline(file, user);) {
    responses.push_back(vmail::base64_encode('\0' + user + '\0' + options.password));
  }
  if (responses.empty()) throw std::runtime_error(options.users + " holds no users");
  return responses;
}

struct Result {
  std::vector<float> milliseconds;
  std::uint64_t failed = 0;
  std::string first_failure;
  double seconds = 0;
};

Result run(const Options& options) {
  const auto responses = read_responses(options);
  const int poller = ::epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1");
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < options.clients; ++i) {
    clients.push_back(std::make_unique<Client>(options.socket, i));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (::epoll_ctl(poller, EPOLL_CTL_ADD, clients[i]->fd(), &event) != 0) fail("epoll_ctl");
  }

  Result result;
  std::size_t next = 0, out = 0;
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.seconds));
  const auto log_in = [&](Client& client) {
    client.log_in(responses[next]);
    next = next + 1 == responses.size() ? 0 : next + 1;
    ++out;
  };
  for (const auto& client : clients) log_in(*client);
  // What is out at the end is still waited for, so that each login is counted.
  while (out > 0) {
    epoll_event events[64];
    const int ready = ::epoll_wait(poller, events, 64, 30000);
    if (ready == 0) throw std::runtime_error("no answer within 30 s");
    for (int i = 0; i < ready; ++i) {
      Client& client = *clients[events[i].data.u64];
      if (!client.answer() && ++result.failed == 1) result.first_failure = client.text();
      --out;
      const auto now = Clock::now();
      result.milliseconds.push_back(std::chrono::duration<float, std::milli>(now - client.asked()).count());
      if (options.pause != 0) ::usleep(options.pause);
      if (now < end) log_in(client);
    }
  }
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  ::close(poller);
  return result;
}

void print(Result result) {
  std::sort(result.milliseconds.begin(), result.milliseconds.end());
  const auto at = [&](double part) {
    const auto size = static_cast<double>(result.milliseconds.size());
    return static_cast<double>(
        result.milliseconds[std::min(result.milliseconds.size() - 1, static_cast<std::size_t>(size * part))]);
  };
  std::replace_if(
      result.first_failure.begin(), result.first_failure.end(),
      [](char c) { return c < 0x20 || c == '"' || c == '\\'; }, ' ');
  const auto count = static_cast<double>(result.milliseconds.size());
  const double mean = std::accumulate(result.milliseconds.begin(), result.milliseconds.end(), 0.0) / count;
  double squares = 0;
  for (const double each : result.milliseconds) squares += (each - mean) * (each - mean);
  std::printf(
      "{\"logins\": %zu, \"failed\": %llu, \"first_failure\": \"%s\", \"seconds\": %.6f, \"p50\": %.3f, "
      "\"p99\": %.3f, \"max\": %.3f, \"mean\": %.3f, \"deviation\": %.3f}\n",
      result.milliseconds.size(), static_cast<unsigned long long>(result.failed), result.first_failure.c_str(),
      result.seconds, at(0.5), at(0.99), static_cast<double>(result.milliseconds.back()), mean,
      std::sqrt(squares / count));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    print(run(parse(argc, argv)));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "auth_load: %s\n", error.what());
    return 1;
  }
}
