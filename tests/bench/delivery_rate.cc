// The deliveries of vmail-lmtpd without its protocol: threads that file one message again and again, with the number of
// deliveries at a time from which on they share a barrier.
//
//   delivery_rate BASE THREADS MESSAGES BYTES TOGETHER < list of Maildirs below BASE
//
// Prints {"seconds": ..., "barriers": ..., "shared": ..., "alone": ...}.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "dovecot-lmtp-store/delivery.h"
#include "shared/runtime/log.h"

int main(int argc, char** argv) {
  using namespace vmail;
  if (argc != 6) {
    std::fprintf(stderr, "usage: delivery_rate BASE THREADS MESSAGES BYTES TOGETHER < list of Maildirs below BASE\n");
    return 2;
  }
  const std::size_t threads = std::stoul(argv[2]), messages = std::stoul(argv[3]);
  std::vector<std::string> maildirs;
  for (std::string line; std::getline(std::cin, line);) maildirs.push_back(line);
  if (maildirs.empty()) return 2;
  log::set_level(log::Level::Warning);

  SystemClock clock;
  maildir::RealFiles files;
  maildir::Quota quota(files, clock);
  store::CommitGroup commit(files, clock, argv[1], store::Durability::Full, std::stoul(argv[5]));
  store::DeliverySettings settings;
  settings.base.folder = argv[1];
  settings.hostname = "bench";
  store::Duplicates duplicates(clock);
  store::Delivery delivery(files, clock, commit, quota, duplicates, settings, store::Filing());
  store::Message message;
  message.id = "bench";
  message.sender = "a@far-away.test";
  message.helo = "bench";
  message.received = clock.wall();
  message.tail.assign(std::stoul(argv[4]), 'x');
  message.sizes.add(message.tail);

  std::atomic<std::size_t> next{0}, failed{0};
  const auto work = [&](std::size_t end) {
    std::vector<std::thread> workers;
    for (std::size_t i = 0; i < threads; ++i) {
      workers.emplace_back([&, end] {
        for (std::size_t number = next++; number < end; number = next++) {
          store::Recipient recipient;
          recipient.path = maildirs[number % maildirs.size()];
          recipient.address = recipient.path;
          if (!delivery.deliver(message, recipient).ok()) ++failed;
        }
      });
    }
    for (auto& worker : workers) worker.join();
  };
  // Once into each mailbox first: a process that has just started syncs its way too.
  work(maildirs.size());
  const auto before = commit.counts();
  next = 0;
  const auto begin = std::chrono::steady_clock::now();
  work(messages);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto after = commit.counts();
  std::printf("{\"seconds\": %.6f, \"barriers\": %llu, \"shared\": %llu, \"alone\": %llu}\n", took.count(),
              static_cast<unsigned long long>(after.barriers - before.barriers),
              static_cast<unsigned long long>(after.shared - before.shared),
              static_cast<unsigned long long>(after.alone - before.alone));
  return failed == 0 ? 0 : 1;
}
