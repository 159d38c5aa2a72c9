#include "shared/maildir/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace vmail::maildir {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

template <class Result>
Result or_errno(Result result) {
  return result < 0 ? static_cast<Result>(-errno) : result;
}

// syncfs(2): before Linux 5.8 it reported no failed write.
bool kernel_reports_sync_errors() {
  utsname name{};
  if (::uname(&name) != 0) return false;
  char* rest = nullptr;
  const long major = std::strtol(name.release, &rest, 10);
  const long minor = *rest == '.' ? std::strtol(rest + 1, nullptr, 10) : 0;
  return major > 5 || (major == 5 && minor >= 8);
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

int RealFiles::open_file(int folder, const std::string& name) {
  return or_errno(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

ssize_t RealFiles::write(int file, const void* bytes, std::size_t size) {
  return or_errno(::write(file, bytes, size));
}

ssize_t RealFiles::read_at(int file, void* bytes, std::size_t size, off_t offset) {
  return or_errno(::pread(file, bytes, size, offset));
}

int RealFiles::write_out(int file) {
  // These two put size and blocks into their journal when the text has been written, and write the journal in order,
  // with a flush of the disk before each commit: what is named behind that is named behind the text. (ext4 without a
  // journal keeps no order at all, and is repaired after a power cut: there may then be a name with no text, of a
  // message for which nobody was told that it is stored.) btrfs notes the blocks later than this call returns.
  struct statfs info {};
  const bool in_order =
      ::fstatfs(file, &info) == 0 && (info.f_type == EXT4_SUPER_MAGIC || info.f_type == XFS_SUPER_MAGIC);
  if (!in_order) return or_errno(::fsync(file));
  constexpr unsigned int kAll = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  return or_errno(::sync_file_range(file, 0, 0, kAll));
}

int RealFiles::sync(int fd) {
  return or_errno(::fsync(fd));
}

int RealFiles::sync_file_system(int fd) {
  return or_errno(::syncfs(fd));
}

int RealFiles::can_sync_file_system(int fd) {
  struct statfs info {};
  if (!kernel_reports_sync_errors() || ::fstatfs(fd, &info) != 0) return 0;
  // Network and FUSE file systems may do nothing at all, overlays hide the errors of what is below.
  const bool known =
      info.f_type == EXT4_SUPER_MAGIC || info.f_type == XFS_SUPER_MAGIC || info.f_type == BTRFS_SUPER_MAGIC;
  return known && sync_file_system(fd) == 0 ? 1 : 0;
}

int RealFiles::device(int fd, std::uint64_t& device) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return -errno;
  device = info.st_dev;
  return 0;
}

int RealFiles::space(int fd, Space& space) {
  struct statvfs info {};
  if (::fstatvfs(fd, &info) != 0) return -errno;
  // What is kept for root is not for us.
  space.bytes = std::uint64_t{info.f_bavail} * info.f_frsize;
  if (info.f_files > 0) space.inodes = info.f_favail;
  return 0;
}

int RealFiles::look(int folder, const std::string& name) {
  struct stat info {};
  return or_errno(::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW));
}

int RealFiles::clone(int from, int to) {
  return or_errno(::ioctl(to, FICLONE, from));
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

int RealFiles::replace(int folder, const std::string& old_name, const std::string& new_name) {
  return or_errno(::renameat(folder, old_name.c_str(), folder, new_name.c_str()));
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
