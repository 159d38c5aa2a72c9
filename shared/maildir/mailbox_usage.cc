#include "shared/maildir/mailbox_usage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <string_view>
#include <vector>

namespace vmail::maildir {
namespace {

constexpr std::size_t kMostKnown = 50000;
constexpr std::int64_t kSecond = 1000000000;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * kSecond + time.tv_nsec;
}

// As a name says it (",S=SIZE"), or else the file.
std::optional<std::uint64_t> size_of(int folder, std::string_view name) {
  if (const auto at = name.find(",S="); at != std::string_view::npos) {
    std::uint64_t size = 0;
    const auto [end, error] = std::from_chars(name.data() + at + 3, name.data() + name.size(), size);
    const bool whole = end == name.data() + name.size() || *end == ',' || *end == ':';
    if (error == std::errc() && whole && size < std::uint64_t{1} << 48) return size;
  }
  struct stat info {};
  if (::fstatat(folder, name.data(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(info.st_size);
}

}  // namespace

std::optional<Usage> UsageReader::read(const std::string& base, const std::string& path, Fault& fault) {
  const UniqueFd base_fd = open_base(files_, base, fault);
  if (!base_fd) return std::nullopt;
  const UniqueFd mailbox = open_mailbox(files_, base_fd.get(), path, fault);
  if (!mailbox) return fault.error == ENOENT ? std::optional(Usage()) : std::nullopt;
  std::string why;
  if (const auto file = read_quota_file(mailbox.get(), why)) return file->usage;
  return count(mailbox.get(), path, fault);
}

// The inbox and, beside its cur and new, the other folders: ".Sent", ".Sent.2026" (Maildir++).
std::optional<Usage> UsageReader::count(int mailbox, const std::string& path, Fault& fault) {
  std::vector<std::string> folders = {""};
  const int own = files_.open_below(mailbox, ".");
  const int listed = own < 0 ? own : visit_names(own, [&](const char* name) {
    if (name[0] == '.') folders.push_back(std::string(name) + '/');
    return folders.size() <= limits_.folders;
  });
  fault = {-listed, path};
  if (listed < 0) return std::nullopt;
  if (folders.size() > limits_.folders) fault.error = EFBIG;

  Usage usage;
  for (const auto& folder : folders) {
    for (const char* part : {"cur", "new"}) {
      if (fault.error != 0) return std::nullopt;
      fault = {-add(mailbox, path, folder + part, usage), path + '/' + folder + part};
    }
  }
  return fault.error == 0 ? std::optional(usage) : std::nullopt;
}

int UsageReader::add(int mailbox, const std::string& path, const std::string& folder, Usage& usage) {
  const int fd = files_.open_below(mailbox, folder);
  // No folder of messages, such as ".dovecot.sieve"; or it was removed at this moment.
  if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) return 0;
  if (fd < 0) return fd;
  UniqueFd open(fd);
  struct stat info {};
  if (::fstat(fd, &info) != 0) return -errno;
  const std::string where = path + '/' + folder;
  Counted counted{info.st_ino, nanoseconds(info.st_mtim), {}};
  if (!recall(where, counted, counted.usage)) {
    const int listed = visit_names(open.release(), [&](const char* name) {
      // What vanishes while we look was moved or removed, which changes the folder.
      const auto size = name[0] == '.' ? std::nullopt : size_of(fd, name);
      if (size) counted.usage.bytes += *size, ++counted.usage.messages;
      return usage.messages + counted.usage.messages <= limits_.messages;
    });
    if (listed < 0) return listed;
    remember(where, counted);
  }
  usage.bytes += counted.usage.bytes;
  usage.messages += counted.usage.messages;
  return usage.messages > limits_.messages ? -EFBIG : 0;
}

bool UsageReader::recall(const std::string& folder, const Counted& now, Usage& usage) {
  Lock lock(mutex_);
  const auto found = known_.find(folder);
  if (found == known_.end() || found->second.inode != now.inode || found->second.changed != now.changed) return false;
  usage = found->second.usage;
  return true;
}

void UsageReader::remember(const std::string& folder, const Counted& counted) {
  // A change at the very time of counting may bear the same time as the one before it.
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(clock_.wall().time_since_epoch()).count();
  if (counted.usage.messages > limits_.messages || counted.changed > now - 2 * kSecond) return;
  Lock lock(mutex_);
  if (known_.size() >= kMostKnown) known_.clear();
  known_[folder] = counted;
}

}  // namespace vmail::maildir
