#include "shared/config/secret_file.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "shared/config/config.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using vmail::config::Error;
using vmail::config::read_secret;

namespace {

std::string error_of(const std::string& file) {
  try {
    read_secret("no-such-credential", file);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class Secrets {
 public:
  Secrets() { ::unsetenv("CREDENTIALS_DIRECTORY"); }
  ~Secrets() { ::unsetenv("CREDENTIALS_DIRECTORY"); }
  std::string make(const std::string& name, const std::string& text, mode_t mode = 0400) const {
    const auto file = dir.write(name, text);
    ::chmod(file.c_str(), mode);
    return file;
  }
  vmail::test::TempDir dir;
};

}  // namespace

TEST_CASE("a secret is the first line of its file") {
  const Secrets secrets;
  CHECK(read_secret("c", secrets.make("a", "geheim\n")).view() == "geheim");
  CHECK(read_secret("c", secrets.make("b", "no line end")).view() == "no line end");
  CHECK(read_secret("c", secrets.make("c", " blanks count \nsecond line\n")).view() == " blanks count ");
  CHECK(read_secret("c", secrets.make("d", "group may read\n", 0640)).view() == "group may read");
}

TEST_CASE("a secret that others can read or write is refused") {
  const Secrets secrets;
  for (const mode_t mode : {0404, 0402, 0401, 0644, 0666, 0777}) {
    CAPTURE(mode);
    const auto file = secrets.make(std::to_string(mode), "geheim\n", mode);
    CHECK(error_of(file) == file + ": others may read or write it; run: chmod o= " + file);
  }
}

TEST_CASE("a file that holds no secret is named") {
  const Secrets secrets;
  const auto missing = secrets.dir.file("missing");
  CHECK(error_of(missing).find(missing + ": cannot be read: No such file") == 0);
  const auto empty = secrets.make("empty", "");
  CHECK(error_of(empty).find(empty + ": is empty") == 0);
  const auto line = secrets.make("line", "\ngeheim\n");
  CHECK(error_of(line).find(line + ": is empty") == 0);
  const auto big = secrets.make("big", std::string(5000, 'x'));
  CHECK(error_of(big).find(big + ": is longer than a password") == 0);
  CHECK(error_of(secrets.dir.path().string()).find("is not a regular file") != std::string::npos);
  // Nobody writes into it: a blocking open would hang for ever.
  const auto fifo = secrets.dir.file("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(error_of(fifo).find("is not a regular file") != std::string::npos);
  if (::geteuid() != 0) {
    const auto closed = secrets.make("closed", "geheim", 0);
    CHECK(error_of(closed).find("Permission denied; it must belong to the user") != std::string::npos);
  }
}

TEST_CASE("no error shows the secret") {
  const Secrets secrets;
  CHECK(error_of(secrets.make("open", "geheim\n", 0644)).find("geheim") == std::string::npos);
  CHECK(error_of(secrets.make("big", "geheim" + std::string(5000, 'x'))).find("geheim") == std::string::npos);
}

TEST_CASE("a systemd credential goes before the file") {
  const Secrets secrets;
  const auto file = secrets.make("file", "from the file\n");
  secrets.make("database-password", "from systemd\n");
  ::setenv("CREDENTIALS_DIRECTORY", secrets.dir.path().c_str(), 1);
  CHECK(read_secret("database-password", file).view() == "from systemd");
  CHECK(read_secret("another", file).view() == "from the file");
}
