// The loop thread: sessions, caches and tables of what is in flight are touched here and nowhere else.
#pragma once

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <cassert>
#include <chrono>
#include <thread>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"

namespace vmail {

class Loop {
 public:
  // The constructing thread is the loop thread until run() is called by another.
  Loop() : thread_(std::this_thread::get_id()) {}

  asio::io_context& io() { return io_; }
  // Runs until stop(); the calling thread becomes the loop thread.
  void run();
  // From any thread. What was posted and not yet run is destroyed with the Loop, on its thread.
  void stop() { io_.stop(); }
  // From any thread: `task` runs on the loop later, never inside this call.
  void post(MoveOnlyFunction<void()> task) { asio::post(io_, std::move(task)); }
  // Asserted by everything that belongs to the loop.
  bool on_loop() const { return std::this_thread::get_id() == thread_; }
  // For tests: runs what is ready, without waiting.
  void run_ready() {
    io_.restart();
    io_.poll();
  }

 private:
  // Descriptors and timers are used on the loop thread alone and need no locks; posts come from anywhere and have them.
  asio::io_context io_{ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  std::thread::id thread_;
};

// A timer that calls at most once per start() and not at all after cancel() or its destruction. Loop thread only.
class Timer {
 public:
  explicit Timer(Loop& loop) : timer_(loop.io()) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces a start that has not fired.
  void start(Duration after, MoveOnlyFunction<void()> task);
  void cancel();

 private:
  asio::steady_timer timer_;
  std::shared_ptr<MoveOnlyFunction<void()>> task_;
};

}  // namespace vmail
