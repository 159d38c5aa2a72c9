// A connection that one thread makes and uses, and that another may interrupt meanwhile.
#pragma once

#include <atomic>
#include <memory>

#include "shared/base/clock.h"
#include "shared/base/mutex.h"
#include "shared/mysql/connection.h"
#include "shared/mysql/opening.h"

namespace vmail::mysql {

// What is not said to be for any thread belongs to the one that uses it.
class Link {
 public:
  bool connected() const { return connection_ != nullptr; }
  void close() { connection_.reset(); }
  // Both throw Error; Lost at once when `given_up` is set before an interrupt() could reach them, and when one does.
  void open(const Options& options, const Host& host, const std::atomic<bool>& given_up) {
    close();
    Opening opening(options, host);
    const Under under(*this, &opening, nullptr);
    check(given_up);
    connection_ = opening.wait();
  }
  template <class Work>
  void use(Work&& work, const std::atomic<bool>& given_up) {
    {
      const Under under(*this, nullptr, connection_.get());
      check(given_up);
      work(*connection_);
    }
    if (!connection_->usable()) close();
  }

  // From any thread.
  void interrupt() {
    Lock lock(mutex_);
    if (opening_ != nullptr) opening_->cancel();
    if (running_ != nullptr) running_->interrupt();
  }
  // From any thread: when rows last came in what runs now.
  Instant last_row() {
    Lock lock(mutex_);
    return running_ != nullptr ? running_->last_row() : Instant{};
  }

 private:
  class Under {
   public:
    Under(Link& link, Opening* opening, Connection* running) : link_(link) { set(opening, running); }
    ~Under() { set(nullptr, nullptr); }
    Under(const Under&) = delete;
    Under& operator=(const Under&) = delete;

   private:
    void set(Opening* opening, Connection* running) {
      Lock lock(link_.mutex_);
      link_.opening_ = opening;
      link_.running_ = running;
    }
    Link& link_;
  };

  static void check(const std::atomic<bool>& given_up) {
    if (given_up) throw Error(ErrorKind::Lost, 0, "nobody waits for the answer any more");
  }

  std::unique_ptr<Connection> connection_;
  Mutex mutex_;
  Opening* opening_ VMAIL_GUARDED_BY(mutex_) = nullptr;
  Connection* running_ VMAIL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace vmail::mysql
