#include "shared/maildir/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::maildir;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    std::string name = fs::temp_directory_path() / "vmailkit-path.XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

Layout layout(std::string_view pattern) {
  std::string why;
  const auto layout = Layout::parse(pattern, why);
  INFO(pattern << ": " << why);
  REQUIRE(layout);
  return *layout;
}

unsigned mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

}  // namespace

TEST_CASE("a pattern gives each address one folder") {
  CHECK(layout("%d/%n").path({"lisi", "example.com"}) == "example.com/lisi");
  CHECK(layout("%d/%n").depth() == 2);
  CHECK(layout("%n@%d").path({"lisi", "example.com"}) == "lisi@example.com");
  CHECK(layout("mail/%d/users/%n/Maildir").path({"a", "b"}) == "mail/b/users/a/Maildir");
  CHECK(layout("mail/%d/users/%n/Maildir").depth() == 5);
}

TEST_CASE("a pattern that cannot work is refused with a reason") {
  for (const char* pattern : {"", "%d", "%n", "%d/%d", "%d/%n/%n", "/%d/%n", "%d/%n/", "%d//%n", "../%d/%n", "./%d/%n",
                              "%d/../%n", ".mail/%d/%n", "%d-%n", "%d%n", "%d/%u", "%d/%n/%", "%d/%%/%n", "%d@%n"}) {
    CAPTURE(pattern);
    std::string why;
    CHECK_FALSE(Layout::parse(pattern, why));
    CHECK_FALSE(why.empty());
  }
}

TEST_CASE("no address leads out of the base") {
  const Layout plain = layout("%d/%n");
  const std::string nul("a\0b", 3);
  for (const std::string& part :
       {std::string(), std::string("."), std::string(".."), std::string(".hidden"), std::string("a/b"),
        std::string("/etc"), std::string("../x"), std::string("a/../b"), nul, std::string("a\nb"), std::string("a\tb"),
        std::string("\x7f"), std::string(256, 'a'), std::string("..\\..")}) {
    CAPTURE(part);
    CHECK_FALSE(plain.path({part, "example.com"}));
    CHECK_FALSE(plain.path({"lisi", part}));
  }
  CHECK(plain.path({std::string(255, 'a'), "d"}));
  // Together over the limit of a name, though each is under it.
  CHECK_FALSE(layout("%n@%d").path({std::string(200, 'a'), std::string(100, 'b')}));
  // A dot is as bad in front of what the pattern adds.
  CHECK_FALSE(layout("x%d/%n").path({"a", "..d"}));
  // What is odd and harmless stays.
  CHECK(plain.path({"a b", "d"}) == "d/a b");
  CHECK(plain.path({"a..b", "d"}) == "d/a..b");
  CHECK(plain.path({"m\xc3\xbcller", "d"}) == "d/m\xc3\xbcller");
  CHECK(plain.path({"%n", "%d"}) == "%d/%n");
  CHECK(plain.path({"~root", "d"}) == "d/~root");
}

TEST_CASE("a mailbox is made, with its three folders, and is found again") {
  Folder base;
  RealFiles files;
  Fault fault;
  const UniqueFd folder = open_base(files, base.path, fault);
  REQUIRE(folder);
  CHECK_FALSE(open_mailbox(files, folder.get(), "example.com/lisi", fault));
  CHECK(fault.error == ENOENT);
  CHECK(fault.where == "example.com/lisi");

  CHECK(make_mailbox(files, folder.get(), "example.com/lisi", fault));
  for (const char* name :
       {"example.com", "example.com/lisi", "example.com/lisi/cur", "example.com/lisi/new", "example.com/lisi/tmp"}) {
    CAPTURE(name);
    CHECK(mode_of(base.path / name) == 0700);
  }
  CHECK(open_mailbox(files, folder.get(), "example.com/lisi/new", fault));
  // Once more, and half of it gone.
  CHECK(make_mailbox(files, folder.get(), "example.com/lisi", fault));
  fs::remove(base.path / "example.com/lisi/tmp");
  CHECK(make_mailbox(files, folder.get(), "example.com/lisi", fault));
  CHECK(fs::is_directory(base.path / "example.com/lisi/tmp"));
  CHECK(open_way(files, folder.get(), "example.com/lisi", fault).size() == 2);
  CHECK(open_way(files, folder.get(), "example.com/wang", fault).empty());
  CHECK(fault.where == "example.com/wang");
}

TEST_CASE("a missing base is never made") {
  Folder base;
  RealFiles files;
  Fault fault;
  CHECK_FALSE(open_base(files, base.path / "missing", fault));
  CHECK(fault.error == ENOENT);
  CHECK(fault.where.empty());
  CHECK_FALSE(fs::exists(base.path / "missing"));
}

TEST_CASE("a base without its marker is a volume that is not mounted") {
  Folder base;
  RealFiles files;
  Fault fault;
  const Base marked{base.path, ".mounted"};
  CHECK_FALSE(open_base(files, marked, fault));
  CHECK(fault.error == ENOMEDIUM);
  CHECK(fault.where == ".mounted");
  fs::create_directory(base.path / ".mounted");
  CHECK(open_base(files, marked, fault));
}

TEST_CASE("symbolic links are not followed below the base") {
  Folder base, outside;
  RealFiles files;
  Fault fault;
  fs::create_directory(base.path / "example.com");
  fs::create_directory_symlink(outside.path, base.path / "example.com/lisi");
  fs::create_directory_symlink(outside.path, base.path / "other.org");
  const UniqueFd folder = open_base(files, base.path, fault);
  CHECK_FALSE(make_mailbox(files, folder.get(), "example.com/lisi", fault));
  CHECK((fault.error == ELOOP || fault.error == ENOTDIR));
  CHECK_FALSE(make_mailbox(files, folder.get(), "other.org/zhang", fault));
  CHECK_FALSE(open_mailbox(files, folder.get(), "example.com/lisi", fault));
  CHECK(fs::is_empty(outside.path));

  // A link as one of the three, and a file where a folder should be.
  fs::create_directories(base.path / "example.com/wang");
  fs::create_directory_symlink(outside.path, base.path / "example.com/wang/new");
  CHECK_FALSE(open_mailbox(files, folder.get(), "example.com/wang/new", fault));
  UniqueFd(::open((base.path / "file").c_str(), O_CREAT | O_WRONLY, 0600));
  CHECK_FALSE(make_mailbox(files, folder.get(), "file/wang", fault));
  CHECK(fault.error == ENOTDIR);
  CHECK(fault.where == "file");

  // Also when somebody got past Layout.
  CHECK(files.open_below(folder.get(), "..") == -EXDEV);
  CHECK(files.open_below(folder.get(), "/etc") == -EXDEV);
  CHECK(files.open_below(folder.get(), "example.com/../..") == -EXDEV);
}

TEST_CASE("the real files name, rename and list") {
  Folder base;
  RealFiles files;
  const UniqueFd folder(files.open_folder(base.path));
  const UniqueFd unnamed(files.create_unnamed(folder.get(), 0600));
  REQUIRE(unnamed);
  CHECK(files.write(unnamed.get(), "text", 4) == 4);
  CHECK(files.sync(unnamed.get()) == 0);
  CHECK(files.name(unnamed.get(), folder.get(), "a") == 0);
  CHECK(files.name(unnamed.get(), folder.get(), "a") == -EEXIST);
  char buffer[8] = {};
  CHECK(files.read_at(unnamed.get(), buffer, sizeof buffer, 1) == 3);
  CHECK(std::string(buffer) == "ext");

  const UniqueFd named(files.create(folder.get(), "b", 0600));
  REQUIRE(named);
  CHECK(files.create(folder.get(), "b", 0600) == -EEXIST);
  CHECK(files.rename(folder.get(), "b", folder.get(), "a") == -EEXIST);
  CHECK(files.rename(folder.get(), "b", folder.get(), "c") == 0);
  std::vector<std::string> names;
  CHECK(files.list(folder.get(), names) == 0);
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"a", "c"});
  CHECK(files.remove(folder.get(), "a") == 0);
  CHECK(files.remove(folder.get(), "a") == -ENOENT);
}
