// A client of socketmap servers for what postmap(1) cannot do: many idle connections, a fixed rate, the latency of each
// lookup. One thread, one request at a time on each connection, as Postfix does it.
//
//   socketmap_load --socket PATH --map NAME --keys FILE [--clients N] [--idle N] [--rate N] [--once] [--seconds S]
//                  [--samples FILE]
//
// Connects --clients and asks one question on each, says "connected" and waits for a line on standard input; the same
// for --idle more, which stay open and ask no other. Then it asks the keys of the file, in turns: each client as soon
// as it has its reply, or with --rate so many a second, whether or not the replies come (the latency of a lookup then
// counts from the moment at which it was due). It ends after --seconds, with --once when each key has been asked once,
// or at the end of standard input. Prints one JSON object; --samples holds a line "MONOTONIC-SECONDS MICROSECONDS" for
// each lookup, with the time at which it was due.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/unix_socket.h"

namespace {

using vmail::bench::fail;
using vmail::bench::UnixSocket;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string socket, map, keys, samples;
  std::size_t clients = 1, idle = 0, rate = 0;
  double seconds = 3600;
  bool once = false;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--once") {
      options.once = true;
      continue;
    }
    if (++i == argc) throw std::runtime_error(std::string(name) + " needs a value");
    const std::string value = argv[i];
    if (name == "--socket") {
      options.socket = value;
    } else if (name == "--map") {
      options.map = value;
    } else if (name == "--keys") {
      options.keys = value;
    } else if (name == "--samples") {
      options.samples = value;
    } else if (name == "--clients") {
      options.clients = std::stoul(value);
    } else if (name == "--idle") {
      options.idle = std::stoul(value);
    } else if (name == "--rate") {
      options.rate = std::stoul(value);
    } else if (name == "--seconds") {
      options.seconds = std::stod(value);
    } else {
      throw std::runtime_error("what is " + std::string(name) + "?");
    }
  }
  return options;
}

std::vector<std::string> read_requests(const Options& options) {
  std::ifstream file(options.keys);
  std::vector<std::string> requests;
  for (std::string key; std::getline(file, key);) {
    const std::string payload = options.map + ' ' + key;
    requests.push_back(std::to_string(payload.size()) + ':' + payload + ',');
  }
  if (requests.empty()) throw std::runtime_error(options.keys + " holds no keys");
  return requests;
}

struct Counts {
  std::uint64_t found = 0, not_found = 0, failed = 0;
  std::string first_failure;
};

class Connection {
 public:
  explicit Connection(const std::string& path) : socket_(path) {}

  int fd() const { return socket_.fd(); }
  void ask(const std::string& request) { socket_.send(request); }
  // Reads what is there (or waits for it); true when that is the end of the reply, which is counted.
  bool take_reply(Counts& counts) {
    char buffer[4096];
    const std::string_view bytes = socket_.receive(buffer);
    if (bytes.back() == ',' && half_.empty()) return count(bytes, counts);
    half_ += bytes;
    const auto colon = half_.find(':');
    if (colon == std::string::npos || half_.size() < colon + std::stoul(half_) + 2) return false;
    count(half_, counts);
    half_.clear();
    return true;
  }

  Clock::time_point due;

 private:
  static bool count(std::string_view reply, Counts& counts) {
    const std::string_view answer = reply.substr(reply.find(':') + 1);
    if (answer.starts_with("OK ")) {
      ++counts.found;
    } else if (answer.starts_with("NOTFOUND ")) {
      ++counts.not_found;
    } else if (++counts.failed == 1) {
      counts.first_failure = answer;
    }
    return true;
  }

  UnixSocket socket_;
  std::string half_;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), requests_(read_requests(options)) {
    poller_ = ::epoll_create1(EPOLL_CLOEXEC);
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (poller_ < 0 || timer_ < 0) fail("epoll_create1 or timerfd_create");
  }

  void connect() {
    open(options_.clients, clients_);
    say_connected();
    if (options_.idle > 0) {
      open(options_.idle, idle_);
      say_connected();
    }
  }

  void run() {
    watch(STDIN_FILENO, kInput);
    for (std::size_t i = 0; i < clients_.size(); ++i) watch(clients_[i]->fd(), i);
    latencies_.reserve(1U << 22);
    counts_ = Counts();
    start_ = Clock::now();
    const auto end =
        start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
    if (options_.rate > 0) {
      start_timer();
      for (auto& client : clients_) free_.push_back(client.get());
    } else {
      for (auto& client : clients_) ask(*client, Clock::now());
    }
    // What is out at the end is still waited for, so that each lookup is counted.
    while (out_ > 0 || (options_.rate > 0 && !ending_)) {
      turn();
      if (Clock::now() >= end) ending_ = true;
    }
    seconds_ = std::chrono::duration<double>(Clock::now() - start_).count();
  }

  void print() {
    if (!options_.samples.empty()) write_samples();
    std::vector<float> sorted(latencies_.size());
    std::transform(latencies_.begin(), latencies_.end(), sorted.begin(),
                   [](const Sample& s) { return s.microseconds; });
    std::sort(sorted.begin(), sorted.end());
    const auto at = [&](double part) {
      if (sorted.empty()) return 0.0F;
      return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(static_cast<double>(sorted.size()) * part))];
    };
    std::printf(
        "{\"lookups\": %zu, \"found\": %llu, \"not_found\": %llu, \"failed\": %llu, \"first_failure\": \"%s\", "
        "\"seconds\": %.6f, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}\n",
        latencies_.size(), static_cast<unsigned long long>(counts_.found),
        static_cast<unsigned long long>(counts_.not_found), static_cast<unsigned long long>(counts_.failed),
        plain(counts_.first_failure).c_str(), seconds_, static_cast<double>(at(0.5)), static_cast<double>(at(0.99)),
        static_cast<double>(at(0.999)), static_cast<double>(sorted.empty() ? 0.0F : sorted.back()));
  }

 private:
  static constexpr std::uint64_t kInput = ~0ULL;
  static constexpr std::uint64_t kTimer = ~1ULL;

  struct Sample {
    Clock::time_point due;
    float microseconds;
  };

  static std::string plain(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c < 0x20 || c == '"' || c == '\\' || c > 0x7e; }, '?');
    return text;
  }

  void open(std::size_t number, std::vector<std::unique_ptr<Connection>>& into) {
    for (std::size_t i = 0; i < number; ++i) {
      auto connection = std::make_unique<Connection>(options_.socket);
      connection->ask(requests_.front());  // the same for all: what an answer costs is not what they cost
      while (!connection->take_reply(counts_)) {
      }
      into.push_back(std::move(connection));
    }
  }

  static void say_connected() {
    std::puts("connected");
    std::fflush(stdout);
    // Not by std::cin: its buffer would hide from epoll what comes later.
    for (char c = 0; c != '\n';) {
      if (::read(STDIN_FILENO, &c, 1) != 1) throw std::runtime_error("standard input has ended");
    }
  }

  void watch(int fd, std::uint64_t what) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = what;
    // A file is always readable, and is of no interest.
    if (::epoll_ctl(poller_, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EPERM) fail("epoll_ctl");
  }

  void start_timer() {
    const std::int64_t step = 1'000'000'000 / static_cast<std::int64_t>(options_.rate);
    const timespec every{step / 1'000'000'000, step % 1'000'000'000};
    const itimerspec times{every, every};
    if (::timerfd_settime(timer_, 0, &times, nullptr) != 0) fail("timerfd_settime");
    interval_ = std::chrono::nanoseconds(step);
    next_due_ = start_;
    watch(timer_, kTimer);
  }

  const std::string& next_request() {
    const std::string& request = requests_[next_];
    if (++next_ == requests_.size()) next_ = 0;
    return request;
  }

  void ask(Connection& client, Clock::time_point due) {
    if (ending_) return;
    if (options_.once && asked_ == requests_.size()) return;
    ++asked_;
    ++out_;
    client.due = due;
    client.ask(next_request());
  }

  void turn() {
    epoll_event events[64];
    const int ready = ::epoll_wait(poller_, events, 64, 100);
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.u64 == kInput) {
        char buffer[64];
        if (::read(STDIN_FILENO, buffer, sizeof buffer) <= 0) {
          ending_ = true;
          ::epoll_ctl(poller_, EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
        }
      } else if (events[i].data.u64 == kTimer) {
        tick();
      } else {
        reply(*clients_[events[i].data.u64]);
      }
    }
  }

  void tick() {
    std::uint64_t times = 0;
    if (::read(timer_, &times, sizeof times) != sizeof times || ending_) return;
    for (; times > 0; --times) {
      next_due_ += interval_;
      if (free_.empty()) {
        waiting_.push_back(next_due_);
      } else {
        Connection* client = free_.back();
        free_.pop_back();
        ask(*client, next_due_);
      }
    }
  }

  void reply(Connection& client) {
    if (!client.take_reply(counts_)) return;
    --out_;
    const auto now = Clock::now();
    latencies_.push_back({client.due, std::chrono::duration<float, std::micro>(now - client.due).count()});
    if (options_.rate == 0) {
      ask(client, now);
    } else if (!waiting_.empty()) {
      ask(client, waiting_.front());
      waiting_.pop_front();
    } else {
      free_.push_back(&client);
    }
  }

  void write_samples() const {
    std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(options_.samples.c_str(), "w"), std::fclose);
    if (!file) fail(options_.samples);
    for (const auto& [due, microseconds] : latencies_) {
      std::fprintf(file.get(), "%.6f %.1f\n", std::chrono::duration<double>(due.time_since_epoch()).count(),
                   static_cast<double>(microseconds));
    }
  }

  const Options& options_;
  const std::vector<std::string> requests_;
  std::size_t next_ = 0;
  int poller_ = -1;
  int timer_ = -1;
  std::vector<std::unique_ptr<Connection>> clients_, idle_;
  std::vector<Connection*> free_;
  std::deque<Clock::time_point> waiting_;  // lookups that are due, and no client is free for them
  Clock::duration interval_{};
  Clock::time_point start_, next_due_;
  bool ending_ = false;
  std::size_t asked_ = 0;
  std::size_t out_ = 0;
  double seconds_ = 0;
  Counts counts_;
  std::vector<Sample> latencies_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    Load load(options);
    load.connect();
    load.run();
    load.print();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "socketmap_load: %s\n", error.what());
    return 1;
  }
}
