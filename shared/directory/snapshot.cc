#include "shared/directory/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "shared/base/unique_fd.h"

namespace vmail::directory {
namespace {

// What is thrown here names no file yet; write_snapshot() and read_snapshot() add it.
[[noreturn]] void fail(int error) {
  throw SnapshotError(std::strerror(error));
}

// A file that goes again unless it is put in its place.
class NewFile {
 public:
  explicit NewFile(std::string name) : name_(std::move(name)) {
    // Left over by a process that was killed.
    if (::unlink(name_.c_str()) != 0 && errno != ENOENT) fail(errno);
    fd_.reset(::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd_) fail(errno);
  }
  ~NewFile() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(errno);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void put_at(const std::string& path) {
    if (::fsync(fd_.get()) != 0 || ::rename(name_.c_str(), path.c_str()) != 0) fail(errno);
    name_.clear();
  }

 private:
  std::string name_;
  UniqueFd fd_;
};

void sync_folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) fail(errno);
}

// Nothing when there is no file.
UniqueFd open_ours(const std::string& path) {
  // Without waiting: a FIFO that nobody writes to would hang us before we see that it is none.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return fd;
  if (!fd && errno == ELOOP) throw SnapshotError("is a symbolic link");
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) throw SnapshotError(std::string("cannot be read: ") + std::strerror(errno));
  if (!S_ISREG(info.st_mode)) throw SnapshotError("is not a regular file");
  if (info.st_uid != ::geteuid()) throw SnapshotError("belongs to another user");
  if ((info.st_mode & 022) != 0) throw SnapshotError("others may write to it");
  return fd;
}

}  // namespace

void write_snapshot(const std::string& path, const Snapshot& snapshot) {
  try {
    NewFile file(path + ".new");
    encode_snapshot(snapshot, [&](std::string_view bytes) { file.write(bytes); });
    file.put_at(path);
  } catch (const SnapshotError& error) {
    throw SnapshotError(path + ": cannot be written: " + error.what() +
                        "; what was written before stays. Its folder must belong to this user and have room");
  }
  try {
    sync_folder_of(path);
  } catch (const SnapshotError& error) {
    throw SnapshotError(path + ": is written, but may be lost when the power fails: " + error.what());
  }
}

std::unique_ptr<Snapshot> read_snapshot(const std::string& path, std::size_t max_bytes) {
  try {
    const UniqueFd fd = open_ours(path);
    if (!fd) return nullptr;
    return decode_snapshot(
        [&](char* into, std::size_t size) {
          for (;;) {
            const ssize_t got = ::read(fd.get(), into, size);
            if (got >= 0) return static_cast<std::size_t>(got);
            if (errno != EINTR) throw SnapshotError(std::string("cannot be read: ") + std::strerror(errno));
          }
        },
        max_bytes);
  } catch (const SnapshotError& error) {
    throw SnapshotError(path + ": " + error.what() + "; it is set aside and the directory is read from the database");
  }
}

void set_aside(const std::string& path) {
  std::rename(path.c_str(), (path + ".bad").c_str());
}

}  // namespace vmail::directory
