#include "shared/runtime/worker_pool.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

namespace vmail {

void stand_behind() {
  // Of a thread, on Linux (setpriority(2), "C library/kernel differences"). A tenth of what the others get is enough to
  // get on; where it is forbidden nothing is lost but smoothness.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);
}

WorkerPool::WorkerPool(const std::string& name, std::size_t threads, std::size_t queue, Hooks hooks)
    : limit_(queue), hooks_(std::move(hooks)) {
  // Signals belong to the loop thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i] { work(i); });
    pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

WorkerPool::~WorkerPool() {
  stop();
}

bool WorkerPool::submit(Job&& job) {
  {
    Lock lock(mutex_);
    if (stopping_ || queue_.size() >= limit_) return false;
    queue_.push_back(std::move(job));
  }
  ready_.notify_one();
  return true;
}

void WorkerPool::stop() {
  {
    Lock lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::size_t WorkerPool::waiting() const {
  Lock lock(mutex_);
  return queue_.size();
}

void WorkerPool::work(std::size_t worker) {
  if (hooks_.started) hooks_.started(worker);
  for (;;) {
    Job job;
    {
      Lock lock(mutex_);
      while (queue_.empty() && !stopping_) ready_.wait(mutex_);
      if (queue_.empty()) break;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    job(worker);
  }
  if (hooks_.ended) hooks_.ended(worker);
}

}  // namespace vmail
