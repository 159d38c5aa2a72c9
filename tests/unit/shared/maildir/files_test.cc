#include "shared/maildir/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "shared/base/unique_fd.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using namespace vmail::maildir;

TEST_CASE("what a volume has, and which one a file is on") {
  test::TempDir folder;
  RealFiles files;
  const UniqueFd base(files.open_folder(folder.path()));
  REQUIRE(base);
  Space space;
  CHECK(files.space(base.get(), space) == 0);
  CHECK(space.bytes > 0);
  std::uint64_t device = 0;
  struct stat info {};
  REQUIRE(::stat(folder.path().c_str(), &info) == 0);
  CHECK(files.device(base.get(), device) == 0);
  CHECK(device == info.st_dev);
  CHECK(files.sync_file_system(base.get()) == 0);
  CHECK(files.can_sync_file_system(base.get()) >= 0);
  const UniqueFd file(files.create(base.get(), "file", 0600));
  REQUIRE(file);
  CHECK(files.write(file.get(), "text", 4) == 4);
  CHECK(files.write_out(file.get()) == 0);
  CHECK(files.write_out(-1) == -EBADF);
  // procfs is no place for mail, and a descriptor that is none has nothing.
  const UniqueFd proc(files.open_folder("/proc"));
  CHECK(files.can_sync_file_system(proc.get()) == 0);
  CHECK(files.space(-1, space) == -EBADF);
  CHECK(files.device(-1, device) == -EBADF);
  CHECK(files.can_sync_file_system(-1) == 0);
}

TEST_CASE("looking, opening, taking a place") {
  test::TempDir folder;
  RealFiles files;
  const UniqueFd base(files.open_folder(folder.path()));
  folder.write("old", "before");
  folder.write("fresh", "after");
  CHECK(files.look(base.get(), "old") == 0);
  CHECK(files.look(base.get(), "none") == -ENOENT);
  CHECK(files.replace(base.get(), "fresh", "old") == 0);
  CHECK(files.look(base.get(), "fresh") == -ENOENT);
  const UniqueFd file(files.open_file(base.get(), "old"));
  REQUIRE(file);
  char text[8] = {};
  CHECK(files.read_at(file.get(), text, sizeof text, 0) == 5);
  CHECK(std::string(text) == "after");
  std::filesystem::create_symlink("old", folder.path() / "link");
  CHECK(files.look(base.get(), "link") == 0);
  CHECK(files.open_file(base.get(), "link") == -ELOOP);
  REQUIRE(::mkfifo(folder.file("fifo").c_str(), 0600) == 0);
  CHECK(UniqueFd(files.open_file(base.get(), "fifo")));  // at once, though nobody writes to it
}

TEST_CASE("blocks are shared where the file system can, and a file is left empty where not") {
  test::TempDir folder;
  RealFiles files;
  const UniqueFd base(files.open_folder(folder.path()));
  const UniqueFd from(files.create(base.get(), "from", 0600)), to(files.create(base.get(), "to", 0600));
  REQUIRE(files.write(from.get(), "text", 4) == 4);
  const int cloned = files.clone(from.get(), to.get());
  CHECK((cloned == 0 || cloned == -EOPNOTSUPP || cloned == -EXDEV || cloned == -EINVAL || cloned == -ENOTTY));
  CHECK(std::filesystem::file_size(folder.path() / "to") == (cloned == 0 ? 4 : 0));
}
