// maildirsize: when it is believed, when it is made anew, and that no delivery is counted twice or not at all.
#include "shared/maildir/quota.h"

#include <fcntl.h>
#include <utime.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using namespace vmail::maildir;
namespace fs = std::filesystem;

namespace {

constexpr const char* kPath = "d.org/u";
constexpr QuotaLimits kLimits{100000, 0};

struct Fixture {
  Fixture() : base_fd(::open(base.path().c_str(), O_RDONLY | O_DIRECTORY)) {
    clock.set_wall(std::chrono::system_clock::now());
    for (const char* folder : {"cur", "new", "tmp"}) fs::create_directories(box() / folder);
  }
  fs::path box() const { return base.path() / kPath; }
  void put(const std::string& name) const { std::ofstream(box() / name) << 'x'; }
  void write(const std::string& text) const { std::ofstream(box() / "maildirsize") << text; }
  std::string file() const {
    std::ifstream in(box() / "maildirsize");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // As a delivery does it.
  std::optional<Quota::Change> deliver(const std::string& name, std::uint64_t size,
                                       const QuotaLimits& limits = kLimits) {
    const auto naming = quota.naming(kPath);
    put(name);
    const UniqueFd mailbox(::open(box().c_str(), O_RDONLY | O_DIRECTORY));
    return quota.added(mailbox.get(), limits, size);
  }
  std::optional<Room> room(std::uint64_t size = 0, const QuotaLimits& limits = kLimits) {
    return quota.room(base_fd.get(), kPath, limits, size, fault);
  }

  const test::TempDir base;
  const UniqueFd base_fd;
  test::ManualClock clock;
  RealFiles files;
  Quota quota{files, clock};
  Fault fault;
};

std::string lines(std::size_t count) {
  std::string text;
  while (count-- > 0) text += "1 1\n";
  return text;
}

}  // namespace

TEST_CASE("without a file the mailbox is counted, and the file is made") {
  Fixture f;
  f.put("cur/1.M1P1.h,S=60000:2,S");
  CHECK(f.room(40000) == Room::Yes);
  CHECK(f.file() == "100000S\n60000 1\n");
  CHECK(f.room(40000 + kQuotaGrace + 1) == Room::No);
  CHECK(fs::is_empty(f.box() / "tmp"));
  CHECK((fs::status(f.box() / "maildirsize").permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("without limits nothing is made, and a file that is there is kept") {
  Fixture f;
  CHECK(f.room(1, {}) == Room::Yes);
  CHECK_FALSE(f.deliver("new/1", 10, {}));
  CHECK_FALSE(fs::exists(f.box() / "maildirsize"));
  f.write("5000S\n10 1\n");
  CHECK_FALSE(f.deliver("new/2", 20, {}));
  CHECK(f.file() == "5000S\n10 1\n20 1\n");
}

TEST_CASE("a mailbox that is not there yet has room for what fits") {
  Fixture f;
  fs::remove_all(f.base.path() / "d.org");
  CHECK(f.room(100000) == Room::Yes);
  CHECK(f.room(200000) == Room::No);
  CHECK_FALSE(fs::exists(f.base.path() / "d.org"));
}

TEST_CASE("a file is believed while there is room") {
  Fixture f;
  f.write("100000S\n5 1\n" + lines(100));
  CHECK(f.room() == Room::Yes);
  CHECK(f.file().size() > 400);
}

TEST_CASE("what is long, for other limits, broken or empty is made anew") {
  for (const std::string& text :
       {"100000S\n" + lines(1300), std::string("5S\n1 1\n"), std::string("100000S,5C\n1 1\n"), std::string("junk"),
        std::string("100000S\n-1 -1\n"), std::string("100000S\n"), std::string("\0\0\0\n", 4)}) {
    CAPTURE(text.substr(0, 20));
    Fixture f;
    f.put("new/1.M1P1.h,S=70");
    f.write(text);
    CHECK(f.room() == Room::Yes);
    CHECK(f.file() == "100000S\n70 1\n");
  }
}

TEST_CASE("no refusal by sums of many lines, or by an old file") {
  Fixture f;
  f.put("new/1.M1P1.h,S=70");
  f.write("100000S\n90000 1\n90000 1\n");
  CHECK(f.room() == Room::Yes);
  CHECK(f.file() == "100000S\n70 1\n");

  f.write("100000S\n200000 2\n");
  CHECK(f.room() == Room::No);  // one line, and fresh
  CHECK(f.file() == "100000S\n200000 2\n");
  const utimbuf old{::time(nullptr) - 16 * 60, ::time(nullptr) - 16 * 60};
  ::utime((f.box() / "maildirsize").c_str(), &old);
  CHECK(f.room() == Room::Yes);
  CHECK(f.file() == "100000S\n70 1\n");
}

TEST_CASE("a delivery is added, and says what was before it") {
  Fixture f;
  f.room();
  const auto change = f.deliver("new/1.M1P1.h,S=500", 500);
  REQUIRE(change);
  CHECK(change->before == Usage{0, 0});
  CHECK(change->after == Usage{500, 1});
  CHECK(f.file() == "100000S\n0 0\n500 1\n");
  const UniqueFd mailbox(::open(f.box().c_str(), O_RDONLY | O_DIRECTORY));
  f.quota.removed(mailbox.get(), 500);
  CHECK(f.file() == "100000S\n0 0\n500 1\n-500 -1\n");
}

TEST_CASE("limits of messages") {
  Fixture f;
  const QuotaLimits limits{0, 2};
  CHECK(f.room(1u << 30, limits) == Room::Yes);
  CHECK(f.file() == "2C\n0 0\n");
  f.deliver("new/1.M1P1.h,S=1", 1, limits);
  CHECK(f.room(1, limits) == Room::Yes);
  f.deliver("new/2.M1P1.h,S=1", 1, limits);
  CHECK(f.room(1, limits) == Room::No);
  fs::remove(f.box() / "new/2.M1P1.h,S=1");  // and Dovecot notes it
  std::ofstream(f.box() / "maildirsize", std::ios::app) << "-1 -1\n";
  CHECK(f.room(1, limits) == Room::Yes);
}

TEST_CASE("what cannot be counted is a fault, and what cannot be written is none") {
  Fixture f;
  fs::remove_all(f.box() / "tmp");
  f.put("new/1.M1P1.h,S=70");
  CHECK(f.room() == Room::Yes);
  CHECK_FALSE(fs::exists(f.box() / "maildirsize"));
  fs::remove_all(f.box());
  std::ofstream(f.box()) << "a file";
  CHECK_FALSE(f.room());
  CHECK(f.fault.error == ENOTDIR);
  CHECK(f.fault.where == kPath);
}

TEST_CASE("maildirsize is not written through a link") {
  Fixture f;
  std::ofstream(f.base.path() / "other") << "100000S\n1 1\n";
  fs::create_symlink(f.base.path() / "other", f.box() / "maildirsize");
  CHECK(f.room() == Room::Yes);
  CHECK_FALSE(fs::is_symlink(f.box() / "maildirsize"));
  std::ifstream in(f.base.path() / "other");
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "100000S\n1 1\n");
}

TEST_CASE("deliveries and counts at the same time come to the truth") {
  Fixture f;
  constexpr int kThreads = 4, kEach = 100;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const QuotaLimits limits{1000000000, 0};
      for (int i = 0; i < kEach; ++i) {
        Fault fault;
        f.quota.room(f.base_fd.get(), kPath, limits, 7, fault);
        f.deliver("new/" + std::to_string(thread) + '.' + std::to_string(i) + ",S=7", 7, limits);
        // Somebody finds the file of no use now and then.
        if (i % 10 == thread) fs::remove(f.box() / "maildirsize");
      }
    });
  }
  for (auto& thread : threads) thread.join();
  Fault fault;
  REQUIRE(f.quota.room(f.base_fd.get(), kPath, {1000000000, 0}, 0, fault));
  std::string why;
  const UniqueFd mailbox(::open(f.box().c_str(), O_RDONLY | O_DIRECTORY));
  const auto file = read_quota_file(mailbox.get(), why);
  REQUIRE(file);
  CHECK(file->usage == Usage{7u * kThreads * kEach, 1u * kThreads * kEach});
}

TEST_CASE("a message that gets its name is waited for") {
  Fixture f;
  f.put("new/1.M1P1.h,S=70");
  std::optional<Room> room;
  std::thread counter;
  {
    const auto naming = f.quota.naming(kPath);
    const auto another = f.quota.naming(kPath);
    counter = std::thread([&] { room = f.room(); });
    f.put("new/2.M1P1.h,S=30");
  }
  counter.join();
  CHECK(room == Room::Yes);
  CHECK(f.file() == "100000S\n100 2\n");
}
