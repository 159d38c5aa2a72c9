#include "shared/runtime/worker_pool.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/catch.h"

using vmail::WorkerPool;

TEST_CASE("jobs run, each on a worker of the pool") {
  std::atomic<int> done{0};
  std::atomic<bool> in_range{true};
  WorkerPool pool("test", 3, 1000);
  CHECK(pool.threads() == 3);
  for (int i = 0; i < 500; ++i) {
    REQUIRE(pool.submit([&](std::size_t worker) {
      if (worker >= 3) in_range = false;
      ++done;
    }));
  }
  pool.stop();
  CHECK(done == 500);
  CHECK(in_range);
}

TEST_CASE("the queue is bounded, and a refused job is untouched") {
  std::promise<void> go, running;
  std::atomic<int> done{0};
  WorkerPool pool("test", 1, 2);
  REQUIRE(pool.submit([&](std::size_t) {
    running.set_value();
    go.get_future().wait();
  }));
  running.get_future().wait();  // the one worker is busy: what comes now waits
  REQUIRE(pool.submit([&](std::size_t) { ++done; }));
  REQUIRE(pool.submit([&](std::size_t) { ++done; }));
  CHECK(pool.waiting() == 2);

  WorkerPool::Job refused = [&, owned = std::make_unique<int>(5)](std::size_t) { done += *owned; };
  CHECK_FALSE(pool.submit(std::move(refused)));
  REQUIRE(refused);
  refused(0);  // still whole
  CHECK(done == 5);

  go.set_value();
  pool.stop();
  CHECK(done == 7);
}

TEST_CASE("stopping runs what is queued and takes nothing more") {
  std::promise<void> go;
  auto held = go.get_future().share();
  std::atomic<int> done{0};
  WorkerPool pool("test", 2, 100);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(pool.submit([&, held](std::size_t) {
      held.wait();
      ++done;
    }));
  }
  go.set_value();
  pool.stop();
  CHECK(done == 50);
  CHECK_FALSE(pool.submit([](std::size_t) {}));
  pool.stop();  // a second time is harmless
}

TEST_CASE("the destructor stops") {
  std::atomic<int> done{0};
  {
    WorkerPool pool("test", 1, 10);
    for (int i = 0; i < 10; ++i) REQUIRE(pool.submit([&](std::size_t) { ++done; }));
  }
  CHECK(done == 10);
}

TEST_CASE("hooks run first and last on each worker") {
  vmail::Mutex mutex;
  std::vector<std::string> seen;
  const auto note = [&](const std::string& what, std::size_t worker) {
    vmail::Lock lock(mutex);
    seen.push_back(what + std::to_string(worker));
  };
  {
    WorkerPool::Hooks hooks;
    hooks.started = [&](std::size_t worker) { note("start", worker); };
    hooks.ended = [&](std::size_t worker) { note("end", worker); };
    WorkerPool pool("test", 2, 10, std::move(hooks));
    REQUIRE(pool.submit([&](std::size_t worker) { note("job", worker); }));
  }
  CHECK(seen.size() == 5);
  const auto place = [&](const std::string& what) { return std::find(seen.begin(), seen.end(), what) - seen.begin(); };
  for (const std::string worker : {"0", "1"}) {
    CHECK(place("start" + worker) < place("end" + worker));
    if (place("job" + worker) < 5) {
      CHECK(place("start" + worker) < place("job" + worker));
      CHECK(place("job" + worker) < place("end" + worker));
    }
  }
}

TEST_CASE("workers have a name, and leave signals to the loop") {
  std::string name(16, '\0');
  bool blocked = false;
  WorkerPool pool("a name that is too long", 1, 1);
  REQUIRE(pool.submit([&](std::size_t) {
    ::prctl(PR_GET_NAME, name.data());
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 1;
  }));
  pool.stop();
  CHECK(std::string(name.c_str()) == "a name that is ");
  CHECK(blocked);
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  CHECK(sigismember(&mask, SIGTERM) == 0);
}
