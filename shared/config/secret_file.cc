#include "shared/config/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "shared/base/unique_fd.h"
#include "shared/config/config.h"

namespace vmail::config {
namespace {

constexpr std::size_t kMaxSecret = 4096;

Secret read_line(int fd, const std::string& file) {
  std::string text(kMaxSecret, '\0');
  std::size_t size = 0;
  for (;;) {
    const ssize_t got = ::read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(file + ": cannot be read: " + std::strerror(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size == text.size()) {
      wipe(text);
      throw Error(file + ": is longer than a password; it should hold one line");
    }
  }
  text.resize(size);
  if (const auto end = text.find('\n'); end != std::string::npos) text.resize(end);
  if (text.empty()) throw Error(file + ": is empty; it should hold the password in its first line");
  return Secret::take(text);
}

}  // namespace

Secret read_secret(const std::string& credential, const std::string& file) {
  std::string path = file;
  if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY")) {
    const std::string given = std::string(folder) + "/" + credential;
    if (::access(given.c_str(), F_OK) == 0) path = given;
  }
  // Without waiting: a FIFO that nobody writes to would hang us before we see that it is none.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) {
    const int error = errno;
    const char* hint = error == ENOENT   ? "; `vmailctl schema grants` makes it"
                       : error == EACCES ? "; it must belong to the user that this program runs as"
                                         : "";
    throw Error(path + ": cannot be read: " + std::strerror(error) + hint);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) throw Error(path + ": is not a regular file");
  if ((info.st_mode & 07) != 0) throw Error(path + ": others may read or write it; run: chmod o= " + path);
  return read_line(fd.get(), path);
}

}  // namespace vmail::config
