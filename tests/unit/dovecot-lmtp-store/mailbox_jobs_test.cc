#include "dovecot-lmtp-store/mailbox_jobs.h"

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::store;

namespace {

// Jobs that hang until they are let go.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void wait_inside(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return inside_ >= count; });
  }
  int inside() {
    std::unique_lock lock(mutex_);
    return inside_;
  }
  void open() {
    std::unique_lock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  bool open_ = false;
};

struct Fixture {
  explicit Fixture(std::size_t queue = 1000) : pool("test", 8, queue), jobs(loop, pool) {}
  ~Fixture() {
    gate.open();
    pool.stop();
  }
  void hang(const std::string& mailbox) {
    jobs.submit(
        mailbox, [this] { gate.pass(); }, [this](int error) { dropped.push_back(error); });
  }
  // One that notes its number, on the loop.
  void note(const std::string& mailbox, int number) {
    jobs.submit(
        mailbox, [this, number] { loop.post([this, number] { done.push_back(number); }); },
        [this](int error) { dropped.push_back(error); });
  }
  template <class Happened>
  void run_until(Happened happened) {
    while (!happened()) {
      loop.io().restart();
      loop.io().run_one_for(std::chrono::milliseconds(10));
    }
  }

  Loop loop;
  Gate gate;
  WorkerPool pool;
  MailboxJobs jobs;
  std::vector<int> done, dropped;
};

}  // namespace

TEST_CASE("a mailbox that hangs holds a quarter of the threads, and delays nobody else") {
  Fixture f;
  for (int i = 0; i < 20; ++i) f.hang("stuck");
  f.gate.wait_inside(2);
  for (int i = 0; i < 50; ++i) f.note("other" + std::to_string(i), i);
  f.run_until([&] { return f.done.size() == 50 && f.jobs.busy() == 1; });
  CHECK(f.gate.inside() == 2);
  CHECK(f.dropped.empty());
  f.gate.open();
  f.run_until([&] { return f.jobs.busy() == 0; });
  CHECK(f.gate.inside() == 20);
}

TEST_CASE("what waits for one mailbox has a bound, and its order") {
  Fixture f;
  f.hang("stuck");
  f.hang("stuck");
  f.gate.wait_inside(2);
  const int most = static_cast<int>(MailboxJobs::kMaxWaiting);
  for (int i = 0; i < most + 3; ++i) f.note("stuck", i);
  f.run_until([&] { return f.dropped.size() == 3; });
  CHECK(f.dropped == std::vector<int>(3, EAGAIN));
  f.gate.open();
  f.run_until([&] { return f.jobs.busy() == 0; });
  CHECK(f.done.size() == MailboxJobs::kMaxWaiting);
  CHECK(f.dropped.size() == 3);
}

TEST_CASE("a full disk queue is told to those that wait, too") {
  Fixture f(1);
  for (int i = 0; i < 4; ++i) {
    f.hang("stuck" + std::to_string(i));
    f.gate.wait_inside(2 * i + 1);
    f.hang("stuck" + std::to_string(i));
    f.gate.wait_inside(2 * i + 2);
  }
  f.note("a", 1);  // has the only place in the queue
  f.note("a", 2);
  f.run_until([&] { return f.dropped.size() == 1; });
  CHECK(f.dropped == std::vector<int>{EBUSY});
  f.gate.open();
  f.run_until([&] { return f.jobs.busy() == 0; });
  CHECK(f.done == std::vector<int>{1});
}
