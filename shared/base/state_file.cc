#include "shared/base/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace vmail {
namespace {

[[noreturn]] void fail(int error) {
  throw StateFileError(std::strerror(error));
}

}  // namespace

NewStateFile::NewStateFile(std::string name) : name_(std::move(name)) {
  // Left over by a process that was killed.
  if (::unlink(name_.c_str()) != 0 && errno != ENOENT) fail(errno);
  fd_.reset(::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd_) fail(errno);
}

NewStateFile::~NewStateFile() {
  if (!name_.empty()) ::unlink(name_.c_str());
}

void NewStateFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void NewStateFile::put_at(const std::string& path) {
  if (::fsync(fd_.get()) != 0 || ::rename(name_.c_str(), path.c_str()) != 0) fail(errno);
  name_.clear();
}

void sync_folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) fail(errno);
}

UniqueFd open_state_file(const std::string& path) {
  // Without waiting: a FIFO that nobody writes to would hang us before we see that it is none.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return fd;
  if (!fd && errno == ELOOP) throw StateFileError("is a symbolic link");
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    throw StateFileError(std::string("cannot be read: ") + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) throw StateFileError("is not a regular file");
  if (info.st_uid != ::geteuid()) throw StateFileError("belongs to another user");
  if ((info.st_mode & 022) != 0) throw StateFileError("others may write to it");
  return fd;
}

void write_state(const std::string& path, std::string_view text) {
  try {
    NewStateFile file(path + ".new");
    file.write(text);
    file.put_at(path);
    sync_folder_of(path);
  } catch (const StateFileError& error) {
    throw StateFileError(path + ": cannot be written: " + error.what() +
                         "; its folder must belong to this user and have room");
  }
}

std::optional<std::string> read_state(const std::string& path, std::size_t max_bytes) {
  try {
    const UniqueFd fd = open_state_file(path);
    if (!fd) return std::nullopt;
    std::string text;
    std::array<char, 65536> buffer;
    for (;;) {
      const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
      if (got == 0) return text;
      if (got < 0 && errno != EINTR) throw StateFileError(std::string("cannot be read: ") + std::strerror(errno));
      if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
      if (text.size() > max_bytes) throw StateFileError("has more than " + std::to_string(max_bytes) + " bytes");
    }
  } catch (const StateFileError& error) {
    throw StateFileError(path + ": " + error.what());
  }
}

}  // namespace vmail
