// Sends mail over many connections at a time, by LMTP over a UNIX socket or by SMTP over TCP, as Postfix does it: what
// can be pipelined is, with a wait at DATA and behind the text.
//
//   mail_load lmtp:/SOCKET|smtp:PORT CONNECTIONS MESSAGES RECIPIENTS BYTES [idle] < list of addresses
//
// The addresses are taken in turns, RECIPIENTS for each message. Each message tells when its RCPT was sent (X-Sent, in
// nanoseconds). Prints {"seconds": ..., "p50": ..., "p99": ...}, the latter from MAIL to the last reply in seconds.
// With `idle` each connection sends one message, one after the other, and is kept then until the input ends; the
// addresses end at an empty line.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/unix_socket.h"

namespace {

using Clock = std::chrono::steady_clock;
using vmail::bench::fail;

struct Plan {
  bool lmtp = true;
  std::string place;
  std::size_t connections = 0, messages = 0, recipients = 0, bytes = 0;
  std::vector<std::string> addresses;
};

int connect_to(const Plan& plan) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (plan.lmtp) {
    auto& address = reinterpret_cast<sockaddr_un&>(storage);
    address.sun_family = AF_UNIX;
    if (plan.place.size() >= sizeof address.sun_path) throw std::runtime_error(plan.place + " is too long");
    std::memcpy(address.sun_path, plan.place.c_str(), plan.place.size() + 1);
    size = sizeof address;
  } else {
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoul(plan.place)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size = sizeof address;
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0) fail(plan.place);
  return fd;
}

std::string make_body(std::size_t bytes) {
  std::string body;
  while (body.size() + 72 < bytes) body += std::string(70, 'x') + "\r\n";
  return body + ".\r\n";
}

// What all connections take from.
struct Work {
  const Plan plan;
  const std::string body;
  std::atomic<std::size_t> messages{0}, addresses{0};
};

class Client {
 public:
  explicit Client(Work& work) : work_(work), fd_(connect_to(work.plan)) {
    expect(1);
    send(work_.plan.lmtp ? "LHLO client.test\r\n" : "EHLO client.test\r\n");
    expect(1);
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send_messages() {
    while (work_.messages++ < work_.plan.messages) send_message();
  }
  void send_message() {
    const Plan& plan = work_.plan;
    const auto begin = Clock::now();
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    const auto sent = std::chrono::duration_cast<std::chrono::nanoseconds>(wall).count();
    std::string envelope = "MAIL FROM:<a@far-away.test>\r\n";
    for (std::size_t i = 0; i < plan.recipients; ++i) {
      envelope += "RCPT TO:<" + plan.addresses[work_.addresses++ % plan.addresses.size()] + ">\r\n";
    }
    send(envelope + "DATA\r\n");
    expect(plan.recipients + 2);
    send("Subject: load\r\nX-Sent: " + std::to_string(sent) + "\r\n\r\n" + work_.body);
    expect(plan.lmtp ? plan.recipients : 1);
    latencies.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }

  std::vector<double> latencies;

 private:
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) fail("send");
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void expect(std::size_t replies) {
    while (replies > 0) {
      const auto end = input_.find('\n');
      if (end == std::string::npos) {
        char buffer[16384];
        const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
        if (got == 0) throw std::runtime_error("the server closed a connection");
        if (got < 0) fail("recv");
        input_.append(buffer, static_cast<std::size_t>(got));
        continue;
      }
      const std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      if (line.size() < 4 || line[3] == '-') continue;
      if (line[0] != '2' && line[0] != '3') throw std::runtime_error("the server said: " + line);
      --replies;
    }
  }

  Work& work_;
  const int fd_;
  std::string input_;
};

[[noreturn]] void end(const std::exception& error) {
  std::fprintf(stderr, "mail_load: %s\n", error.what());
  std::_Exit(1);
}

// One thread each, as Postfix has one process each; what is to be idle then needs none.
void run(Work& work, bool idle) {
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < work.plan.connections; ++i) clients.push_back(std::make_unique<Client>(work));
  std::vector<std::thread> threads;
  const auto begin = Clock::now();
  for (auto& client : clients) {
    if (idle) {
      client->send_message();
    } else {
      threads.emplace_back([&client] {
        try {
          client->send_messages();
        } catch (const std::exception& error) {
          end(error);
        }
      });
    }
  }
  for (auto& thread : threads) thread.join();
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::vector<double> all;
  for (const auto& client : clients) all.insert(all.end(), client->latencies.begin(), client->latencies.end());
  std::sort(all.begin(), all.end());
  const auto at = [&](std::size_t percent) { return all[std::min(all.size() * percent / 100, all.size() - 1)]; };
  std::printf("{\"seconds\": %.6f, \"p50\": %.6f, \"p99\": %.6f}\n", took.count(), at(50), at(99));
  std::fflush(stdout);
  if (!idle) return;
  for (std::string line; std::getline(std::cin, line);) continue;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 6) throw std::runtime_error("usage: see the head of its source");
    Plan plan;
    const std::string place = argv[1];
    plan.lmtp = place.rfind("lmtp:", 0) == 0;
    plan.place = place.substr(5);
    plan.connections = std::stoul(argv[2]);
    plan.messages = std::stoul(argv[3]);
    plan.recipients = std::stoul(argv[4]);
    plan.bytes = std::stoul(argv[5]);
    for (std::string line; std::getline(std::cin, line) && !line.empty();) plan.addresses.push_back(line);
    if (plan.addresses.empty() || plan.messages == 0) throw std::runtime_error("nothing to send");
    const std::string body = make_body(plan.bytes);
    Work work{std::move(plan), body};
    run(work, argc > 6);
    return 0;
  } catch (const std::exception& error) {
    end(error);
  }
}
