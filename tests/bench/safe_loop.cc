// What the file system gives to a program that does nothing but store mail safely: threads that each make a file in
// tmp/, write it, sync it, move it to new/ and sync that. Nobody who keeps that order one message at a time is faster.
//
//   safe_loop THREADS MESSAGES BYTES < list of Maildirs
//
// Prints {"seconds": ...}. The Maildirs are taken in turns.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

void check(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

void store(const std::string& maildir, const std::string& name, const std::string& text) {
  const std::string from = maildir + "/tmp/" + name, folder = maildir + "/new";
  const int file = ::open(from.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  check(file >= 0, from);
  check(::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write");
  check(::fsync(file) == 0, "fsync");
  ::close(file);
  const std::string to = folder + '/' + name;
  check(::rename(from.c_str(), to.c_str()) == 0, to);
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(directory >= 0 && ::fsync(directory) == 0, folder);
  ::close(directory);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: safe_loop THREADS MESSAGES BYTES < list of Maildirs\n");
    return 2;
  }
  const std::size_t threads = std::stoul(argv[1]), messages = std::stoul(argv[2]);
  const std::string text(std::stoul(argv[3]), 'x');
  std::vector<std::string> maildirs;
  for (std::string line; std::getline(std::cin, line);) maildirs.push_back(line);
  check(!maildirs.empty(), "the list");

  const std::string run = std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
  std::atomic<std::size_t> next{0};
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      for (std::size_t number = next++; number < messages; number = next++) {
        store(maildirs[number % maildirs.size()], run + '.' + std::to_string(number) + ".bench", text);
      }
    });
  }
  for (auto& worker : workers) worker.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("{\"seconds\": %.6f}\n", took.count());
  return 0;
}
