#include "shared/maildir/quota_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/unique_fd.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using namespace vmail::maildir;

namespace {

std::string why_not(std::string_view text) {
  std::string why;
  CHECK_FALSE(parse_quota_file(text, why));
  return why;
}

std::optional<Usage> usage_of(const std::optional<QuotaFile>& file) {
  return file ? std::optional(file->usage) : std::nullopt;
}

std::optional<Usage> parsed(std::string_view text) {
  std::string why;
  return usage_of(parse_quota_file(text, why));
}

std::optional<Usage> read_in(const test::TempDir& folder) {
  const UniqueFd fd(::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY));
  std::string why;
  const auto file = read_quota_file(fd.get(), why);
  CHECK((!file || file->changed > 0));
  return usage_of(file);
}

}  // namespace

TEST_CASE("the lines of maildirsize are added up") {
  CHECK(parsed("1000S,20C\n") == Usage{0, 0});
  CHECK(parsed("1000S\n100 2\n") == Usage{100, 2});
  CHECK(parsed("1000S\n100 2\n-40 -1\n7 1\n") == Usage{67, 2});
  CHECK(parsed("\n100 2\n") == Usage{100, 2});
  CHECK(parsed("10485760S\n        4096            3\n       -1024           -1\n") == Usage{3072, 2});  // Courier's
  CHECK(parsed("1S\n5\t1\r\n") == Usage{5, 1});
  CHECK(parsed("1S\n281474976710656 1\n") == Usage{std::uint64_t{1} << 48, 1});
}

TEST_CASE("a text that is no maildirsize is none, and says why") {
  for (const char* text : {"", "1000S", "1000S\n100 2", "1000S\n100 2\n3"}) {
    CAPTURE(text);
    CHECK(why_not(text) == "its last line has no end");
  }
  for (const char* line : {"", "100", "100 ", "100 x", "x 2", "100 2 3", "100 2x", "100x2", "1.5 2", "+1 2", "- 2",
                           "281474976710657 1", "99999999999999999999 1", "1 -281474976710657"}) {
    CAPTURE(line);
    CHECK(why_not("1000S\n1 1\n" + std::string(line) + '\n') == "its line 3 is not two numbers");
  }
  CHECK(why_not("1000S\n100 2\n-101 -1\n") == "its sums are below zero");
  CHECK(why_not("1000S\n100 2\n-1 -3\n") == "its sums are below zero");
  CHECK(why_not("1000S\n" + std::string(kMaxQuotaFile, '1')) == "it is longer than 65536 bytes");
}

TEST_CASE("its first line has the limits") {
  const auto limits = [](const std::string& line) {
    std::string why;
    return parse_quota_file(line + "\n1 1\n", why)->limits;
  };
  CHECK(limits("1000S,20C") == QuotaLimits{1000, 20});
  CHECK(limits("20C,1000S") == QuotaLimits{1000, 20});
  CHECK(limits("1000S") == QuotaLimits{1000, 0});
  CHECK(limits("20C") == QuotaLimits{0, 20});
  CHECK(limits("0S") == QuotaLimits{});
  CHECK(limits("") == QuotaLimits{});
  CHECK(limits("1000S,7X,S,-1C") == QuotaLimits{1000, 0});
}

TEST_CASE("it is written as Dovecot does") {
  CHECK(format_quota_file({1000, 20}, {5, 1}) == "1000S,20C\n5 1\n");
  CHECK(format_quota_file({1000, 0}, {5, 1}) == "1000S\n5 1\n");
  CHECK(format_quota_file({0, 20}, {5, 1}) == "20C\n5 1\n");
  CHECK(format_quota_file({}, {0, 0}) == "0S\n0 0\n");
}

TEST_CASE("no sum of lines overflows") {
  std::string text = "1S\n";
  while (text.size() + 22 < kMaxQuotaFile) text += "281474976710656 1\n";
  const auto usage = parsed(text);
  REQUIRE(usage);
  CHECK(usage->bytes == usage->messages << 48);
}

TEST_CASE("the file is read when it is one") {
  const test::TempDir folder;
  CHECK_FALSE(read_in(folder));
  folder.write("maildirsize", "1S\n12 3\n");
  CHECK(read_in(folder) == Usage{12, 3});
  folder.write("maildirsize", "1S\n" + std::string(kMaxQuotaFile, '\n'));
  CHECK_FALSE(read_in(folder));

  const std::string path = folder.file("maildirsize");
  folder.write("other", "1S\n12 3\n");
  ::unlink(path.c_str());
  REQUIRE(::symlink("other", path.c_str()) == 0);
  CHECK_FALSE(read_in(folder));
  ::unlink(path.c_str());
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK_FALSE(read_in(folder));  // and does not wait for a writer
  ::unlink(path.c_str());
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  CHECK_FALSE(read_in(folder));
}
