#include "sql/vmailctl/password_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "shared/base/base64.h"
#include "shared/base/unique_fd.h"
#include "shared/config/config.h"
#include "shared/config/secret_file.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

[[noreturn]] void fail(const std::string& path, const char* doing, const std::string& hint = "") {
  throw Refusal(fmt::format("{}: {}: {}", path, doing, std::strerror(errno)), hint);
}

std::optional<uid_t> uid_of(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return entry->pw_uid;
}

// The new file stands whole beside the old one, then takes its name.
void replace_file(const std::string& path, const Secret& password, std::optional<uid_t> owner) {
  const auto slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const UniqueFd parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent) fail(folder, "the folder of a password file", "Make it first: mkdir -m 0755 -p " + folder);

  std::string name = path + ".XXXXXX";
  const UniqueFd file(::mkostemp(name.data(), O_CLOEXEC));  // made with mode 0600
  if (!file) fail(folder, "cannot write into it", "Run this as root.");
  const auto give_up = [&](const char* doing) {
    const int error = errno;
    ::unlink(name.c_str());
    errno = error;
    fail(path, doing, "Nothing was changed.");
  };
  std::string line = password.text() + '\n';
  const bool written = ::write(file.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size());
  wipe(line);
  if (!written) give_up("cannot be written");
  if (owner && ::fchown(file.get(), *owner, static_cast<gid_t>(-1)) != 0)
    give_up("cannot be given to its daemon's user");
  if (::fchmod(file.get(), 0400) != 0) give_up("cannot be made private");
  if (::fsync(file.get()) != 0) give_up("cannot be synced");
  if (::rename(name.c_str(), path.c_str()) != 0) give_up("cannot be put in its place");
  if (::fsync(parent.get()) != 0) fail(folder, "cannot be synced");
}

}  // namespace

Secret random_password() {
  char bytes[24];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) throw Refusal("the kernel gave no random bytes", "");
  std::string text = base64_encode(std::string_view(bytes, sizeof bytes));
  explicit_bzero(bytes, sizeof bytes);
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return Secret::take(text);
}

PasswordFile ensure_password_file(const std::string& path, const std::string& owner) {
  PasswordFile result;
  std::optional<uid_t> uid = uid_of(owner);
  if (!uid) {
    result.remark = fmt::format(
        "{}: there is no user '{}' yet, so the file is yours; run `vmailctl schema grants` again once there is", path,
        owner);
  } else if (::geteuid() != 0 && *uid != ::geteuid()) {
    result.remark =
        fmt::format("{}: only root can give it to '{}'; run `vmailctl schema grants` again as root", path, owner);
    uid.reset();
  }

  struct stat info {};
  const bool there = ::lstat(path.c_str(), &info) == 0;
  if (!there && errno != ENOENT) fail(path, "cannot be looked at", "Run this as root.");
  if (there && !S_ISREG(info.st_mode)) throw Refusal(fmt::format("{} is not a regular file", path), "Move it away.");
  // One that others could read is no secret any more; an empty one never was.
  const bool keep = there && (info.st_mode & 077) == 0 && info.st_size > 0;
  if (keep) {
    result.password = config::read_secret(path.substr(path.rfind('/') + 1), path);
  } else {
    result.password = random_password();
    result.made = true;
  }
  const bool right = keep && (info.st_mode & 07777) == 0400 && (!uid || info.st_uid == *uid);
  if (!right) replace_file(path, result.password, uid);
  return result;
}

std::string why_not_a_password_file(const std::string& path, const std::string& owner) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return fmt::format("{}: {}", path, std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return fmt::format("{} is not a regular file", path);
  if ((info.st_mode & 077) != 0) return fmt::format("{} can be read or written by others", path);
  const auto uid = uid_of(owner);
  if (!uid) return fmt::format("{}: there is no user '{}' to own it", path, owner);
  if (info.st_uid != *uid) return fmt::format("{} does not belong to '{}'", path, owner);
  if (info.st_size == 0) return fmt::format("{} is empty", path);
  return "";
}

}  // namespace vmail::sql
