#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "dovecot-lmtp-store/delivery.h"
#include "shared/base/text.h"
#include "shared/base/unique_fd.h"

namespace vmail::store {
namespace {

std::string user(uid_t uid) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const std::string number = "uid " + std::to_string(uid);
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return number;
  return std::string(entry.pw_name) + " (" + number + ')';
}

std::string octal(mode_t mode) {
  std::string out = "0";
  for (const int shift : {6, 3, 0}) out += static_cast<char>('0' + (mode >> shift & 7));
  return out;
}

// The first folder on the way to `where` that does not let us in, or else the last that can be seen at all.
std::string explain_permission(const std::string& base, const std::string& where) {
  constexpr int kAll = R_OK | W_OK | X_OK;
  const uid_t us = ::geteuid();
  struct stat info {};
  if (::stat(base.c_str(), &info) != 0) return base + " cannot be reached: let " + user(us) + " through its parents";
  std::string culprit = base;
  const UniqueFd folder(::open(base.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  bool open = ::access(base.c_str(), R_OK | X_OK) == 0;
  for (std::size_t end = 0; open && end < where.size();) {
    end = std::min(where.find('/', end + 1), where.size());
    const std::string path = where.substr(0, end);
    struct stat below {};
    if (::fstatat(folder.get(), path.c_str(), &below, AT_SYMLINK_NOFOLLOW) != 0) break;
    culprit = base + '/' + path;
    info = below;
    open = ::faccessat(folder.get(), path.c_str(), kAll, AT_SYMLINK_NOFOLLOW) == 0;
  }
  culprit = printable(culprit, 1024);
  const std::string shown = culprit + " belongs to " + user(info.st_uid) + ", mode " + octal(info.st_mode);
  if (info.st_uid == us) return shown + ", and does not let its owner in: chmod u+rwx " + culprit;
  return shown + ", and must belong to " + user(us) + ": chown -R " + std::to_string(us) + ':' +
         std::to_string(::getegid()) + ' ' + culprit;
}

}  // namespace

std::string explain(const std::string& base, const Stored& stored) {
  const std::string path = printable(stored.where.empty() ? base : base + '/' + stored.where, 1024);
  const std::string what = path + ": " + std::strerror(stored.error);
  switch (stored.error) {
    case EACCES:
    case EPERM:
      return what + ": " + explain_permission(base, stored.where);
    case ENOENT:
      if (!stored.where.empty()) return what + ": it, or /proc, went away during the delivery";
      return what + ": the base folder (mailboxes.base) is never made by this program: mount its volume, or make it, " +
             "owned by " + user(::geteuid());
    case ELOOP:
    case ENOTDIR:
    case EXDEV:
      return what + ": a symbolic link or a file stands where a folder is expected, and links are not followed: " +
             "put the folder itself there";
    case ENOMEDIUM:
      return path + " is not there: it marks (mailboxes.marker) that the volume of the mail is mounted: mount it; on " +
             "the right volume make the file, empty, once";
    case ENOSPC:
      return what +
             ": free space or inodes (df -h, df -i; store.reserve_space and reserve_inodes are kept free); the " +
             "client tries again";
    case EDQUOT:
      return what + ": the quota of the file system for " + user(::geteuid()) + " is used up (quota, repquota)";
    case EROFS:
      return what +
             ": the file system is mounted, or has become, read-only (dmesg; mount -o remount,rw), or the unit of " +
             "this program does not list it (ReadWritePaths=)";
    case ENOSYS:
      return what + ": openat2(2) is missing: the kernel is older than 5.6, or the unit of this program has " +
             "RestrictSUIDSGID=yes, which takes it away";
    case EIO:
      return what + ": the disk or its driver reports errors: see dmesg and check the volume";
    default:
      return what;
  }
}

}  // namespace vmail::store
