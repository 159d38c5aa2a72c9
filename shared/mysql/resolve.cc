#include "shared/mysql/resolve.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <memory>
#include <system_error>
#include <thread>

namespace vmail::mysql {
namespace {

// Resolutions that nobody waits for any more end by themselves; this many may linger.
constexpr int kMaxRunning = 16;
std::atomic<int> running{0};

int look_up(const std::string& name, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (error == 0) freeaddrinfo(found);
  return error;
}

}  // namespace

std::string why_not_resolved(const std::string& name, std::chrono::milliseconds timeout) {
  if (look_up(name, AI_NUMERICHOST) == 0) return "";
  if (running.fetch_add(1) >= kMaxRunning) {
    running.fetch_sub(1);
    return fmt::format("cannot resolve '{}': earlier questions to the name server hang", name);
  }
  auto promise = std::make_shared<std::promise<int>>();
  auto result = promise->get_future();
  try {
    std::thread([name, promise] {
      promise->set_value(look_up(name, 0));
      running.fetch_sub(1);
    }).detach();
  } catch (const std::system_error& error) {
    running.fetch_sub(1);
    return fmt::format("cannot resolve '{}': {}", name, error.what());
  }
  if (result.wait_for(timeout) != std::future_status::ready) {
    return fmt::format("cannot resolve '{}' within {} ms", name, timeout.count());
  }
  const int error = result.get();
  return error == 0 ? "" : fmt::format("cannot resolve '{}': {}", name, gai_strerror(error));
}

}  // namespace vmail::mysql
