#include "dovecot-lmtp-store/sweep.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/dovecot-lmtp-store/store_fixture.h"

using namespace vmail;
using test::StoreFixture;

namespace {

pid_t dead_process() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  ::waitpid(pid, nullptr, 0);
  return pid;
}

void put(const StoreFixture& store, const std::string& path) {
  test::fs::create_directories((store.base / path).parent_path());
  std::ofstream(store.base / path) << "x";
}

}  // namespace

TEST_CASE("what a killed process left in tmp goes, and nothing else") {
  StoreFixture store;
  store.files.no_tmpfile = true;
  const std::string dead = "P" + std::to_string(dead_process()) + "Q1.";
  const std::string own = "P" + std::to_string(::getpid()) + "Q1.";
  const std::string tmp = "example.com/lisi/tmp/";
  const std::vector<std::string> goes = {
      tmp + "1699999999.M1" + dead + "mail.test,S=0,W=0",
      tmp + "1699999998.M1" + own + "mail.test,S=0,W=0",  // our number, of an earlier life
      tmp + "1699990000.M1P1Q1.mail.test,S=0,W=0",        // its number is another process's now
      "example.org/wang/tmp/1699999999.M1" + dead + "mail.test,S=0,W=0",
      "1699999999.M1" + dead + "mail.test,S=0,W=0",  // a spool
      "example.com/lisi/.Junk/tmp/1699999999.M1" + dead + "mail.test,S=0,W=0",
  };
  const std::vector<std::string> stays = {
      tmp + "1699999999.M1P1Q1.mail.test,S=0,W=0",          // of a process that lives
      tmp + "1700000001.M1" + own + "mail.test,S=0,W=0",    // ours, and new
      tmp + "1600000000.M1" + dead + "other.test,S=0,W=0",  // another host's
      tmp + "1600000000.M1P77.mail.test,S=0,W=0",           // Dovecot's
      tmp + "notes",
      "example.com/lisi/new/1699999999.M1" + dead + "mail.test,S=0,W=0",
      ".archive/lisi/tmp/1699999999.M1" + dead + "mail.test,S=0,W=0",
  };
  for (const auto& path : goes) put(store, path);
  for (const auto& path : stays) put(store, path);
  const WallTime started(std::chrono::seconds(1700000000));
  CHECK(store::sweep(store.files, store.delivery->names(), store.base, 2, started) == goes.size());
  for (const auto& path : goes) {
    CAPTURE(path);
    CHECK_FALSE(test::fs::exists(store.base / path));
  }
  for (const auto& path : stays) {
    CAPTURE(path);
    CHECK(test::fs::exists(store.base / path));
  }
}

TEST_CASE("where files can be without a name there is nothing to look for") {
  StoreFixture store;
  put(store, "example.com/lisi/tmp/1699999999.M1P" + std::to_string(dead_process()) + "Q1.mail.test,S=0,W=0");
  store.files.reset();
  CHECK(store::sweep(store.files, store.delivery->names(), store.base, 2, store.clock.wall()) == 0);
  CHECK(store.files.calls.size() == 2);
  CHECK(store::sweep(store.files, store.delivery->names(), store.base / "missing", 2, store.clock.wall()) == 0);
}
