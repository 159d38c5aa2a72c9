// What `vmailctl mailbox check` finds, and what it mends.
#include "sql/vmailctl/mailbox_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "shared/base/unique_fd.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using namespace vmail::sql;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  Fixture() {
    for (const char* folder : {"cur", "new", "tmp"}) make(folder);
    ::chmod(box.path().c_str(), 0700);
  }
  void make(const std::string& folder) const {
    fs::create_directories(box.path() / folder);
    for (fs::path path = folder; !path.empty(); path = path.parent_path()) ::chmod((box.path() / path).c_str(), 0700);
  }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(box.path() / name) << text;
    ::chmod((box.path() / name).c_str(), 0600);
  }
  CheckedMailbox check(bool repair = false, std::optional<QuotaLimits> limits = {}) const {
    CheckOptions options;
    options.repair = repair;
    options.owner = {::getuid(), ::getgid()};
    options.limits = limits;
    options.now = ::time(nullptr) + later;
    const UniqueFd fd(::open(box.path().c_str(), O_RDONLY | O_DIRECTORY));
    maildir::RealFiles files;
    return check_mailbox(files, fd.get(), options);
  }
  // "where: what" of each.
  std::vector<std::string> found(bool repair = false, std::optional<QuotaLimits> limits = {}) const {
    std::vector<std::string> lines;
    for (const auto& finding : check(repair, limits).findings) {
      CHECK(finding.repaired == repair);
      lines.push_back(finding.where + ": " + finding.what);
    }
    return lines;
  }
  bool there(const std::string& name) const { return fs::exists(box.path() / name); }

  const test::TempDir box;
  std::time_t later = 0;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("sizes in names") {
  CHECK(sizes_in("1.M2P3.h,S=10,W=11:2,S").size == 10u);
  CHECK(sizes_in("1.M2P3.h,S=10,W=11:2,S").vsize == 11u);
  CHECK_FALSE(sizes_in("1.M2P3.h").size);
  CHECK_FALSE(sizes_in("1.M2P3.h,S=x").size);
  CHECK_FALSE(sizes_in("1.M2P3.h,S=10x").size);
  CHECK_FALSE(sizes_in("1.M2P3.h:2,S=10").size);  // flags
  CHECK(with_sizes("1.h,S=10,W=11:2,S", 5, 600) == "1.h,S=5,W=600:2,S");
  CHECK(with_sizes("1.h,W=11", 5, 6) == "1.h,W=6");
  CHECK(with_sizes("1.h", 5, 6) == "1.h");
}

TEST_CASE("a mailbox that is as it should be") {
  Fixture f;
  f.put("new/1.M1P1.h,S=4,W=6", "a\nb\n");
  f.put("cur/2.M1P1.h,S=4,W=4:2,S", "a\r\nb");
  f.put("cur/3.M1P1.h:2,S", "of another deliverer");
  f.make(".Sent/cur"), f.make(".Sent/new"), f.make(".Sent/tmp");
  f.put(".Sent/cur/4.M1P1.h,S=3,W=3:2,", "abc");
  f.put(".dovecot.sieve", "keep;");
  f.put("dovecot-uidlist", "3 V1 N1\n");
  f.put("maildirsize", "1000S\n31 4\n");
  f.put("tmp/5.M1P1.h", "in progress");
  const auto checked = f.check();
  CHECK(checked.findings.empty());
  CHECK(checked.usage == maildir::Usage{4 + 4 + 20 + 3, 4});
}

TEST_CASE("wrong sizes, and the names that are right") {
  Fixture f;
  f.put("new/1.M1P1.h,S=5,W=6", "a\nb\n");
  f.put("cur/2.M1P1.h,S=4,W=4:2,S", "a\nb\n");
  f.put("cur/3.M1P1.h,S=999,W=999:2,S", "\x1f\x8b compressed");
  const Lines expected = {"cur/2.M1P1.h,S=4,W=4:2,S: its name says other sizes than S=4,W=6",
                          "new/1.M1P1.h,S=5,W=6: its name says other sizes than S=4,W=6"};
  CHECK(f.found() == expected);
  CHECK(f.found(true) == expected);
  CHECK(f.there("new/1.M1P1.h,S=4,W=6"));
  CHECK(f.there("cur/2.M1P1.h,S=4,W=6:2,S"));
  CHECK(f.found().empty());
}

TEST_CASE("what was left in tmp") {
  Fixture f;
  f.put("tmp/1.M1P1.other", "123");
  f.put("tmp/1700000000.M1P1Q1.h,S=0,W=0", "1");
  f.put("tmp/maildirsize.1.2", "");
  CHECK(f.found().empty());
  f.later = 2 * 3600;
  CHECK(f.check().findings.size() == 2);
  f.later = 37 * 3600;
  CHECK(f.check().findings.size() == 3);
  CHECK(f.check(true).unmended == 0);
  CHECK(fs::is_empty(f.box.path() / "tmp"));
}

TEST_CASE("modes, and folders that are missing") {
  Fixture f;
  f.put("new/1.M1P1.h", "a");
  ::chmod((f.box.path() / "new/1.M1P1.h").c_str(), 0644);
  ::chmod((f.box.path() / "cur").c_str(), 02770);
  ::chmod((f.box.path() / "new").c_str(), 0777);
  fs::remove(f.box.path() / "tmp");
  const Lines expected = {"new: its mode is 0777: others may get at it",
                          "new/1.M1P1.h: its mode is 0644: others may get at it", "tmp: there is no such folder"};
  CHECK(f.found() == expected);
  CHECK(f.found(true) == expected);
  CHECK(f.found().empty());
  struct stat info {};
  REQUIRE(::stat((f.box.path() / "cur").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 02770);
}

TEST_CASE("links are said, and not followed") {
  Fixture f;
  const test::TempDir elsewhere;
  elsewhere.write("file", "secret");
  ::chmod(elsewhere.file("file").c_str(), 0644);
  fs::create_symlink(elsewhere.file("file"), f.box.path() / "new/1.M1P1.h");
  fs::create_directory_symlink(elsewhere.path(), f.box.path() / ".Linked");
  const auto checked = f.check(true);
  REQUIRE(checked.findings.size() == 1);
  CHECK(checked.findings[0].what == "it is a symbolic link, and no message");
  CHECK(checked.unmended == 1);
  struct stat info {};
  REQUIRE(::stat(elsewhere.file("file").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0644);
}

TEST_CASE("maildirsize against what is there") {
  Fixture f;
  f.put("new/1.M1P1.h,S=4,W=6", "a\nb\n");
  f.put("maildirsize", "1000S\n5 1\n");
  CHECK(f.found() == Lines{"maildirsize: it says 5 bytes in 1 messages, there are 4 in 1"});
  CHECK(f.found(true).size() == 1);
  CHECK(f.found().empty());
  CHECK(f.found(false, QuotaLimits{1000, 0}).empty());
  CHECK(f.found(false, QuotaLimits{2000, 5}) == Lines{"maildirsize: it was written for another quota"});
  CHECK(f.found(true, QuotaLimits{2000, 5}).size() == 1);
  std::ifstream in(f.box.path() / "maildirsize");
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "2000S,5C\n4 1\n");
  f.put("maildirsize", "nonsense");
  CHECK(f.found() == Lines{"maildirsize: its last line has no end"});
}

TEST_CASE("more findings than are listed") {
  Fixture f;
  for (std::size_t i = 0; i < kMostFindings + 5; ++i) f.put("new/" + std::to_string(i) + ".h,S=9", "a");
  const auto checked = f.check();
  CHECK(checked.findings.size() == kMostFindings);
  CHECK(checked.left_out == 5);
  CHECK(checked.unmended == kMostFindings + 5);
}
