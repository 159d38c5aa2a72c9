#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "dovecot-lmtp-store/delivery.h"
#include "shared/base/text.h"

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

// The first folder on the way to `where` that is not ours, or the last that can be seen at all.
std::string explain_permission(maildir::Files& files, const std::string& base, const std::string& where) {
  struct stat info {};
  std::string culprit = base;
  bool seen = ::stat(base.c_str(), &info) == 0;
  bool alien = seen && info.st_uid != ::geteuid() && ::access(base.c_str(), R_OK | X_OK) != 0;
  maildir::Fault fault;
  const UniqueFd folder = maildir::open_base(files, base, fault);
  for (std::size_t end = 0; folder && !alien && end < where.size();) {
    end = std::min(where.find('/', end + 1), where.size());
    struct stat below {};
    if (files.stat_below(folder.get(), where.substr(0, end), below) < 0) break;
    culprit = base + '/' + where.substr(0, end);
    info = below;
    seen = true;
    alien = info.st_uid != ::geteuid();
  }
  const std::string we = user(::geteuid());
  if (!seen) return culprit + " cannot be reached: the folders above it must let " + we + " through";
  const std::string shown =
      printable(culprit, 1024) + " belongs to " + user(info.st_uid) + ", mode " + octal(info.st_mode);
  const std::string ids = std::to_string(::geteuid()) + ':' + std::to_string(::getegid());
  if (info.st_uid != ::geteuid()) {
    return shown + ", and must belong to " + we + ": chown -R " + ids + ' ' + printable(culprit, 1024);
  }
  return shown + ", and lets nothing be written: chmod u+rwx " + printable(culprit, 1024);
}

}  // namespace

std::string explain(maildir::Files& files, const std::string& base, const Stored& stored) {
  const std::string path = printable(stored.where.empty() ? base : base + '/' + stored.where, 1024);
  const std::string what = path + ": " + std::strerror(stored.error);
  switch (stored.error) {
    case EACCES:
    case EPERM:
      return what + ": " + explain_permission(files, base, stored.where);
    case ENOENT:
      if (!stored.where.empty()) return what + ": it went away during the delivery";
      return what + ": the base folder (mailboxes.base) is never made by this program: mount its volume, or make it, " +
             "owned by " + user(::geteuid());
    case ELOOP:
    case ENOTDIR:
    case EXDEV:
      return what + ": a symbolic link or a file stands where a folder is expected, and links are not followed: " +
             "put the folder itself there";
    case ENOSPC:
      return what + ": free space or inodes (df -h, df -i); the client tries again";
    case EDQUOT:
      return what + ": the quota of the file system for " + user(::geteuid()) + " is used up (quota, repquota)";
    case EROFS:
      return what + ": the file system was mounted, or has become, read-only: see dmesg, then mount -o remount,rw";
    case EIO:
      return what + ": the disk or its driver reports errors: see dmesg and check the volume";
    case EBUSY:
      return what + ": too many deliveries wait for the disk: raise store.disk_threads or find out what holds it up";
    default:
      return what;
  }
}

}  // namespace vmail::store
