#include "shared/maildir/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace vmail::maildir {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

template <class Result>
Result or_errno(Result result) {
  return result < 0 ? static_cast<Result>(-errno) : result;
}

}  // namespace

int RealFiles::open_folder(const std::string& path) {
  return or_errno(::open(path.c_str(), kFolder));
}

int RealFiles::open_below(int folder, const std::string& path) {
  open_how how{};
  how.flags = kFolder | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    const long fd = or_errno(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how));
    // EAGAIN: a rename elsewhere raced with the walk, and the kernel could not prove that it stayed below.
    if (fd != -EAGAIN && fd != -EINTR) return static_cast<int>(fd);
  }
}

int RealFiles::make_folder(int folder, const std::string& name, mode_t mode) {
  return or_errno(::mkdirat(folder, name.c_str(), mode));
}

int RealFiles::create_unnamed(int folder, mode_t mode) {
  return or_errno(::openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
}

int RealFiles::create(int folder, const std::string& name, mode_t mode) {
  return or_errno(::openat(folder, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
}

ssize_t RealFiles::write(int file, const void* bytes, std::size_t size) {
  return or_errno(::write(file, bytes, size));
}

ssize_t RealFiles::read_at(int file, void* bytes, std::size_t size, off_t offset) {
  return or_errno(::pread(file, bytes, size, offset));
}

int RealFiles::sync(int fd) {
  return or_errno(::fsync(fd));
}

int RealFiles::name(int file, int folder, const std::string& name) {
  // AT_EMPTY_PATH would need a capability; the way through /proc needs none (open(2), O_TMPFILE).
  const std::string self = "/proc/self/fd/" + std::to_string(file);
  return or_errno(::linkat(AT_FDCWD, self.c_str(), folder, name.c_str(), AT_SYMLINK_FOLLOW));
}

int RealFiles::rename(int from, const std::string& old_name, int to, const std::string& new_name) {
  const int moved = or_errno(::renameat2(from, old_name.c_str(), to, new_name.c_str(), RENAME_NOREPLACE));
  if (moved != -EINVAL) return moved;
  // NFS knows no RENAME_NOREPLACE, but links, which replace nothing either.
  const int linked = or_errno(::linkat(from, old_name.c_str(), to, new_name.c_str(), 0));
  if (linked == 0) remove(from, old_name);
  return linked;
}

int RealFiles::remove(int folder, const std::string& name) {
  return or_errno(::unlinkat(folder, name.c_str(), 0));
}

int RealFiles::list(int folder, std::vector<std::string>& names) {
  // A descriptor of its own: the position in a folder belongs to the open file, not to the reader.
  const int fd = open_below(folder, ".");
  if (fd < 0) return fd;
  return visit_names(fd, [&](const char* name) {
    names.emplace_back(name);
    return true;
  });
}

int visit_names(int fd, const std::function<bool(const char* name)>& visit) {
  DIR* stream = ::fdopendir(fd);
  if (stream == nullptr) {
    const int error = errno;
    ::close(fd);
    return -error;
  }
  int error = 0;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream);
    if (entry == nullptr) {
      error = errno;
      break;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && !visit(entry->d_name)) break;
  }
  ::closedir(stream);
  return -error;
}

}  // namespace vmail::maildir
