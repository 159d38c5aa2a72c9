#include "dovecot-lmtp-store/commit_group.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace vmail;
using namespace vmail::store;

namespace {

// Descriptors are numbers here; what is asked of them is recorded, and waits while `hold` is set.
class FakeFiles final : public maildir::RealFiles {
 public:
  int write_out(int fd) override { return call("text " + std::to_string(fd), fd == failing ? -EIO : 0); }
  int sync(int fd) override { return call(std::to_string(fd), fd == failing ? -EIO : 0); }
  int sync_file_system(int) override { return call("all", barrier_error); }
  int can_sync_file_system(int) override { return can_share ? 1 : 0; }
  int device(int fd, std::uint64_t& device) override {
    device = fd >= 1000 && fd < 2000 ? 2 : 1;
    return 0;
  }

  std::vector<std::string> calls() {
    Lock lock(mutex_);
    return calls_;
  }
  void hold(bool on) {
    Lock lock(mutex_);
    hold_ = on;
    changed_.notify_all();
  }

  std::atomic<bool> can_share{true};
  std::atomic<int> failing{-1};
  std::atomic<int> barrier_error{0};

 private:
  int call(const std::string& name, int result) {
    Lock lock(mutex_);
    calls_.push_back(name);
    while (hold_) changed_.wait(mutex_);
    return result;
  }

  Mutex mutex_;
  Condition changed_;
  std::vector<std::string> calls_ VMAIL_GUARDED_BY(mutex_);
  bool hold_ VMAIL_GUARDED_BY(mutex_) = false;
};

struct Group {
  explicit Group(std::size_t together = 2, Durability durability = Durability::Full)
      : commit(files, clock, "/", durability, together) {}
  ~Group() { join(); }

  // A delivery that syncs this file.
  void start(int fd) {
    threads.emplace_back([this, fd] {
      std::size_t failed = 0;
      const int result = commit.sync({fd}, {}, failed);
      Lock lock(mutex);
      results[fd] = result;
    });
  }
  void join() {
    files.hold(false);
    for (auto& thread : threads) thread.join();
    threads.clear();
  }
  template <class Condition>
  static void wait_until(Condition condition) {
    while (!condition()) std::this_thread::yield();
  }
  void wait_for_calls(std::size_t count) {
    wait_until([&] { return files.calls().size() == count; });
  }
  void wait_for_waiting(std::size_t count) {
    wait_until([&] { return commit.counts().waiting == count; });
  }

  FakeFiles files;
  test::ManualClock clock;
  CommitGroup commit;
  std::vector<std::thread> threads;
  Mutex mutex;
  std::map<int, int> results;  // with the lock while threads run
};

using Calls = std::vector<std::string>;

}  // namespace

TEST_CASE("one by itself syncs its own files, in their order, up to the one that fails") {
  Group group;
  std::size_t failed = 9;
  CHECK(group.commit.sync({5, 6}, {7}, failed) == 0);
  CHECK(group.files.calls() == Calls{"5", "6", "7"});
  group.files.failing = 6;
  CHECK(group.commit.sync({5}, {6, 7}, failed) == -EIO);
  CHECK(failed == 1);
  CHECK(group.files.calls() == Calls{"5", "6", "7", "5", "6"});
  CHECK(group.commit.counts().errors == 1);
  CHECK(group.commit.counts().barriers == 0);
}

TEST_CASE("texts are written out by themselves, up to the one that fails") {
  Group group(1);
  std::size_t failed = 9;
  CHECK(group.commit.write_out({5, 6}, failed) == 0);
  group.files.failing = 7;
  CHECK(group.commit.write_out({6, 7, 8}, failed) == -EIO);
  CHECK(failed == 1);
  CHECK(group.files.calls() == Calls{"text 5", "text 6", "text 6", "text 7"});
  CHECK(group.commit.counts().errors == 1);
}

TEST_CASE("from the number on they share one barrier, and who comes meanwhile shares the next") {
  Group group;
  group.files.hold(true);
  group.start(5);
  group.wait_for_calls(1);  // alone, and at it
  group.start(6);
  group.wait_for_waiting(1);  // too few for a barrier, and not alone
  group.start(7);
  group.wait_for_calls(2);  // the two of them begin one
  for (int fd = 8; fd < 13; ++fd) group.start(fd);
  group.wait_for_waiting(5);
  group.join();
  CHECK(group.files.calls() == Calls{"5", "all", "all"});
  const auto counts = group.commit.counts();
  CHECK(counts.alone == 1);
  CHECK(counts.barriers == 2);
  CHECK(counts.shared == 7);
  CHECK(counts.waiting == 0);
  for (const auto& [fd, result] : group.results) CHECK(result == 0);
  CHECK(group.results.size() == 8);
}

TEST_CASE("too few behind a barrier sync by themselves, at the same time") {
  Group group(3);
  group.files.hold(true);
  group.start(5);
  group.start(6);
  group.wait_for_calls(2);
  group.start(7);
  group.start(8);
  group.start(9);
  group.wait_for_calls(3);
  group.start(10);
  group.start(11);
  group.wait_for_waiting(2);
  group.join();
  const Calls calls = group.files.calls();
  CHECK(std::count(calls.begin(), calls.end(), "all") == 1);
  CHECK(calls.size() == 5);
  CHECK(group.commit.counts().alone == 4);
}

TEST_CASE("an error of a barrier is everybody's, and files are synced one by one for a minute") {
  Group group;
  group.files.hold(true);
  group.start(5);
  group.wait_for_calls(1);
  group.start(6);
  group.wait_for_waiting(1);
  group.files.barrier_error = -EIO;
  group.start(7);
  group.wait_for_calls(2);
  group.start(8);
  group.start(9);
  group.wait_for_waiting(2);  // for a barrier that will not be
  group.join();
  CHECK(group.results == std::map<int, int>{{5, 0}, {6, -EIO}, {7, -EIO}, {8, 0}, {9, 0}});
  CHECK_FALSE(group.commit.is_sharing());

  // `calls`: how many there are once all three are at it, or wait for the one barrier.
  const auto three_at_a_time = [&](std::size_t calls) {
    group.files.hold(true);
    const std::size_t before = group.files.calls().size();
    group.start(20);
    group.wait_for_calls(before + 1);
    group.start(21);
    group.start(22);
    group.wait_for_calls(before + calls);
    group.join();
    return group.commit.counts().barriers;
  };
  CHECK(three_at_a_time(3) == 1);
  group.clock.advance(CommitGroup::kReopen + std::chrono::seconds(1));
  group.files.barrier_error = 0;
  CHECK(three_at_a_time(2) == 2);
  CHECK(group.commit.is_sharing());
}

TEST_CASE("another volume, and one that cannot be synced as a whole") {
  std::size_t failed = 0;
  Group group(1);
  CHECK(group.commit.sync({5}, {}, failed) == 0);
  CHECK(group.commit.sync({1005}, {}, failed) == 0);
  CHECK(group.commit.sync({5, 1005}, {}, failed) == 0);
  CHECK(group.files.calls() == Calls{"all", "1005", "5", "1005"});

  FakeFiles files;
  files.can_share = false;
  test::ManualClock clock;
  CommitGroup other(files, clock, "/", Durability::Full, 1);
  CHECK(other.sync({5}, {}, failed) == 0);
  CHECK(files.calls() == Calls{"5"});
  // Mounted later: it is looked at again.
  files.can_share = true;
  CHECK(other.sync({5}, {}, failed) == 0);
  clock.advance(CommitGroup::kReopen + std::chrono::seconds(1));
  CHECK(other.sync({5}, {}, failed) == 0);
  CHECK(files.calls() == Calls{"5", "5", "all"});
}

TEST_CASE("weaker promises sync less") {
  std::size_t failed = 0;
  Group text(2, Durability::File);
  CHECK(text.commit.write_out({5}, failed) == 0);
  CHECK(text.commit.sync({5}, {6}, failed) == 0);
  CHECK(text.files.calls() == Calls{"text 5", "5"});
  Group none(1, Durability::None);
  CHECK(none.commit.write_out({5}, failed) == 0);
  CHECK(none.commit.sync({5}, {6}, failed) == 0);
  CHECK(none.files.calls().empty());
}
