#include "shared/base/state_file.h"

#include <sys/stat.h>

#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;

TEST_CASE("state file: what was written is read, and nothing else is left in the folder") {
  test::TempDir folder;
  const std::string path = folder.file("state");
  CHECK_FALSE(read_state(path, 100));
  folder.write("state.new", "left over by a process that was killed");
  write_state(path, "one");
  write_state(path, "two\n");
  CHECK(read_state(path, 100) == "two\n");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("state file: what is too long, or others may write to, is not read") {
  test::TempDir folder;
  const std::string path = folder.write("state", "0123456789");
  CHECK(read_state(path, 10) == "0123456789");
  CHECK_THROWS_AS(read_state(path, 9), StateFileError);
  ::chmod(path.c_str(), 0620);
  CHECK_THROWS_AS(read_state(path, 10), StateFileError);
}

TEST_CASE("state file: a folder that is not there is an error that names the file") {
  test::TempDir folder;
  const std::string path = folder.file("none/state");
  std::string what;
  try {
    write_state(path, "x");
  } catch (const StateFileError& error) {
    what = error.what();
  }
  CHECK(what.find(path + ": cannot be written: No such file or directory") == 0);
}
