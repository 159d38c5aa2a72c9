// How many SHA512-CRYPT hashes a second an engine computes on so many threads, of passwords with 12 characters and 5000
// rounds; nothing but the hashing.
//
//   hash_rate ENGINE THREADS SECONDS
//
// ENGINE is libxcrypt, openssl, avx2, multi-buffer, or several: what a daemon here takes for several logins. Prints one
// JSON object; its "engine" is null where this host does not have it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "shared/password/password.h"
#include "shared/password/sha512_crypt.h"

namespace {

using namespace vmail;
using namespace vmail::password;
using Clock = std::chrono::steady_clock;

const Secret kPassword("password1234");
constexpr std::uint64_t kRounds = 5000;
constexpr std::uint64_t kSlice = 250;  // as the hash queue does it

std::unique_ptr<Sha512Engine> make_engine(const std::string& name) {
  if (name == "openssl") return make_openssl_engine();
  if (name == "avx2") return make_avx2_engine();
  if (name == "multi-buffer") return make_multi_buffer_engine();
  if (name == "several") return make_sha512_engines().several;
  throw std::runtime_error("there is no engine '" + name + "'");
}

std::uint64_t count_libxcrypt(Clock::time_point end) {
  const std::string stored = make_sha512_crypt(kPassword, kRounds);
  std::uint64_t hashes = 0;
  for (; Clock::now() < end; ++hashes) {
    if (verify(kPassword, stored, Limits{}).verdict != Verdict::Match) throw std::runtime_error("a hash was wrong");
  }
  return hashes;
}

std::uint64_t count(Sha512Engine& engine, Clock::time_point end) {
  std::vector<std::unique_ptr<Sha512Crypt>> running;
  std::vector<Sha512Crypt*> lanes;
  std::uint64_t hashes = 0;
  while (Clock::now() < end) {
    while (running.size() < engine.width()) {
      running.push_back(std::make_unique<Sha512Crypt>(kPassword, "abcdefghijklmnop", kRounds));
    }
    lanes.clear();
    for (const auto& hash : running) lanes.push_back(hash.get());
    engine.advance(lanes, kSlice);
    hashes += std::erase_if(running, [](const auto& hash) { return hash->done(); });
  }
  return hashes;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw std::runtime_error("usage: hash_rate ENGINE THREADS SECONDS");
    const std::string name = argv[1];
    std::vector<std::uint64_t> counts(std::stoul(argv[2]));
    const auto length = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::stod(argv[3])));
    const std::string what = name == "libxcrypt" ? name : [&] {
      const auto engine = make_engine(name);
      return engine ? engine->name() : std::string();
    }();
    if (what.empty()) {
      std::puts("{\"engine\": null}");
      return 0;
    }
    const auto start = Clock::now();
    std::vector<std::thread> threads;
    for (auto& hashes : counts) {
      threads.emplace_back([&] {
        hashes = name == "libxcrypt" ? count_libxcrypt(start + length) : count(*make_engine(name), start + length);
      });
    }
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      threads[i].join();
      sum += counts[i];
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::printf("{\"engine\": \"%s\", \"hashes\": %llu, \"seconds\": %.6f}\n", what.c_str(),
                static_cast<unsigned long long>(sum), seconds);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hash_rate: %s\n", error.what());
    return 1;
  }
}
