// std::mutex with clang's thread-safety attributes: `clang++ -Wthread-safety` then proves which members it guards.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define VMAIL_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define VMAIL_THREAD_ATTRIBUTE(x)
#endif
#define VMAIL_GUARDED_BY(mutex) VMAIL_THREAD_ATTRIBUTE(guarded_by(mutex))
#define VMAIL_REQUIRES(mutex) VMAIL_THREAD_ATTRIBUTE(requires_capability(mutex))

namespace vmail {

class VMAIL_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() VMAIL_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() VMAIL_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

class VMAIL_THREAD_ATTRIBUTE(scoped_lockable) Lock {
 public:
  explicit Lock(Mutex& mutex) VMAIL_THREAD_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() VMAIL_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits with a Mutex held; check the condition in a loop around wait().
class Condition {
 public:
  void wait(Mutex& mutex) VMAIL_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False when the time came first.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point time) VMAIL_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool woken = condition_.wait_until(lock, time) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace vmail
