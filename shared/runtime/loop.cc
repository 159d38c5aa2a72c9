#include "shared/runtime/loop.h"

#include <asio/executor_work_guard.hpp>

namespace vmail {

void Loop::run() {
  thread_ = std::this_thread::get_id();
  auto work = asio::make_work_guard(io_);
  io_.run();
}

void Timer::start(Duration after, MoveOnlyFunction<void()> task) {
  cancel();
  task_ = std::make_shared<MoveOnlyFunction<void()>>(std::move(task));
  timer_.expires_after(after);
  // A wait that has fired already cannot be cancelled any more: it finds its task gone instead.
  timer_.async_wait([task = std::weak_ptr(task_), this](const asio::error_code&) {
    const auto mine = task.lock();
    if (!mine) return;
    task_.reset();
    (*mine)();
  });
}

void Timer::cancel() {
  if (!task_) return;
  task_.reset();
  timer_.cancel();
}

}  // namespace vmail
