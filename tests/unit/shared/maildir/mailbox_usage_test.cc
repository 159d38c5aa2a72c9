#include "shared/maildir/mailbox_usage.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using namespace vmail::maildir;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  Fixture() {
    clock.set_wall(std::chrono::system_clock::now() + std::chrono::hours(1));  // what is made now is old by then
    for (const char* folder : {"cur", "new", "tmp"}) fs::create_directories(box() / folder);
  }
  fs::path box() const { return base.path() / "example.com/lisi"; }
  void put(const std::string& name, std::size_t size) const {
    fs::create_directories((box() / name).parent_path());
    std::ofstream(box() / name) << std::string(size, 'x');
  }
  std::optional<Usage> read(UsageReader::Limits limits = {}) {
    if (!reader) reader = std::make_unique<UsageReader>(files, clock, limits);
    return reader->read(base.path().string(), "example.com/lisi", fault);
  }

  const test::TempDir base;
  test::ManualClock clock;
  RealFiles files;
  std::unique_ptr<UsageReader> reader;
  Fault fault;
};

}  // namespace

TEST_CASE("without maildirsize the messages are counted, in all folders") {
  Fixture f;
  CHECK(f.read() == Usage{0, 0});
  f.put("new/1.M1P1.host,S=1000,W=1020", 3);  // its name says how large it is
  f.put("cur/2.M1P1.host,S=70:2,S", 3);
  f.put("cur/3.M1P1.host:2,S", 5);  // the file does
  f.put("cur/4.M1P1.host,S=x:2,", 7);
  f.put("cur/5.M1P1.host,S=9x", 11);
  f.put(".Sent.2026/cur/6.M1P1.host,S=100", 1);
  f.put(".Junk/new/7.M1P1.host,S=200", 1);
  f.put("tmp/8.M1P1.host,S=5000", 1);        // not delivered
  f.put("cur/.hidden", 1);                   // no message
  f.put("sieve/cur/9.M1P1.host,S=9000", 1);  // no folder of mail
  f.put(".dovecot.lda-dupes", 100);
  fs::create_directories(f.box() / "cur/folder");
  CHECK(f.read() == Usage{1000 + 70 + 5 + 7 + 11 + 100 + 200, 7});
}

TEST_CASE("maildirsize is believed, and what is none is not") {
  Fixture f;
  f.put("new/1.M1P1.host,S=1000", 1);
  std::ofstream(f.box() / "maildirsize") << "1S\n12345 6\n";
  CHECK(f.read() == Usage{12345, 6});
  std::ofstream(f.box() / "maildirsize") << "1S\n-5 -1\n";
  CHECK(f.read() == Usage{1000, 1});
}

TEST_CASE("a mailbox that is not there yet is empty, a base that is not there is a fault") {
  Fixture f;
  fs::remove_all(f.box());
  CHECK(f.read() == Usage{0, 0});
  fs::remove_all(f.base.path() / "example.com");
  CHECK(f.read() == Usage{0, 0});
  fs::remove_all(f.base.path());
  CHECK_FALSE(f.read());
  CHECK(f.fault.error == ENOENT);
  CHECK(f.fault.where.empty());
}

TEST_CASE("links are not followed") {
  Fixture f;
  f.put("cur/1.M1P1.host,S=10", 1);
  fs::create_directory_symlink(f.box(), f.box() / ".Linked");
  fs::create_symlink("/etc/passwd", f.box() / "cur/2.M1P1.host");
  CHECK(f.read() == Usage{10, 1});
  fs::rename(f.box(), f.base.path() / "elsewhere");
  fs::create_directory_symlink(f.base.path() / "elsewhere", f.box());
  CHECK_FALSE(f.read());
  CHECK(f.fault.error == ENOTDIR);
}

TEST_CASE("a folder that has not changed is not counted again") {
  Fixture f;
  f.put("cur/1.M1P1.host", 10);
  CHECK(f.read() == Usage{10, 1});
  f.put("cur/1.M1P1.host", 20);  // the folder itself is what it was
  CHECK(f.read() == Usage{10, 1});
  f.put("cur/2.M1P1.host", 1);
  CHECK(f.read() == Usage{21, 2});

  // What has just changed may change again without a later time.
  f.clock.set_wall(std::chrono::system_clock::now());
  f.put("cur/3.M1P1.host", 1);
  CHECK(f.read() == Usage{22, 3});
  f.put("cur/1.M1P1.host", 30);
  CHECK(f.read() == Usage{32, 3});
}

TEST_CASE("what is too much to count is a fault") {
  Fixture f;
  for (int i = 0; i < 5; ++i) f.put("cur/" + std::to_string(i) + ".M1P1.host,S=1", 1);
  for (int i = 0; i < 5; ++i) f.put("new/" + std::to_string(i) + ".M1P2.host,S=1", 1);
  CHECK(f.read({10, 10}) == Usage{10, 10});
  f.reader.reset();
  CHECK_FALSE(f.read({9, 10}));
  CHECK(f.fault.error == EFBIG);
  CHECK(f.fault.where == "example.com/lisi/new");
  for (int i = 0; i < 3; ++i) fs::create_directories(f.box() / ("." + std::to_string(i)));
  f.reader.reset();
  CHECK(f.read({10, 4}));
  f.reader.reset();
  CHECK_FALSE(f.read({10, 3}));
  CHECK(f.fault.error == EFBIG);
}
