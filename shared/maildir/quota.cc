#include "shared/maildir/quota.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

namespace vmail::maildir {
namespace {

// quota-maildir.c reads no more of it, and makes a new one when it is that long.
constexpr std::size_t kLongFile = 5120;
constexpr std::int64_t kStale = 15 * 60;
// The folders of a mailbox may change under the count; it is counted again so often.
constexpr int kAttempts = 3;
// What is counted here is counted once for many messages: more than one question about usage may cost.
constexpr UsageReader::Limits kMost = {100'000'000, 100'000};

std::int64_t seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// One write, so that lines of several writers do not mix (O_APPEND). 0 or an errno; ENOENT: there is no such file.
int append(int mailbox, std::int64_t bytes, std::int64_t messages) {
  const UniqueFd file(::openat(mailbox, kQuotaFileName, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return errno;
  const std::string line = std::to_string(bytes) + ' ' + std::to_string(messages) + '\n';
  const ssize_t written = ::write(file.get(), line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) return 0;
  return written < 0 ? errno : ENOSPC;
}

// What cannot be kept right is not kept: whoever asks next counts.
void drop(int mailbox) {
  ::unlinkat(mailbox, kQuotaFileName, 0);
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// By a file in tmp/ and a rename, as the rules have it. Not synced: after a crash that has torn it, it is no such file
// any more, and the mailbox is counted.
void replace(int mailbox, const QuotaLimits& limits, const Usage& usage) {
  static std::atomic<unsigned> count{0};
  const std::string name =
      std::string("tmp/") + kQuotaFileName + '.' + std::to_string(::getpid()) + '.' + std::to_string(++count);
  const UniqueFd file(::openat(mailbox, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return;
  if (!write_all(file.get(), format_quota_file(limits, usage)) ||
      ::renameat(mailbox, name.c_str(), mailbox, kQuotaFileName) != 0) {
    ::unlinkat(mailbox, name.c_str(), 0);
  }
}

Usage plus(const Usage& usage, std::int64_t bytes, std::int64_t messages) {
  const auto sum = [](std::uint64_t a, std::int64_t b) {
    return b < 0 ? a - std::min(a, static_cast<std::uint64_t>(-b)) : a + static_cast<std::uint64_t>(b);
  };
  return {sum(usage.bytes, bytes), sum(usage.messages, messages)};
}

}  // namespace

// While it lives nothing of ours gets a name in the mailbox.
class Quota::Counting {
 public:
  Counting(Quota& quota, const std::string& path) : quota_(quota), path_(path) { quota_.begin_counting(path_); }
  ~Counting() { quota_.end_counting(path_); }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

 private:
  Quota& quota_;
  const std::string& path_;
};

Quota::Quota(Files& files, const Clock& clock) : files_(files), clock_(clock), reader_(files, clock, kMost) {}

std::optional<Room> Quota::room(int base, const std::string& path, const QuotaLimits& limits, std::uint64_t size,
                                Fault& fault) {
  if (!limits.any()) return Room::Yes;
  const UniqueFd mailbox = open_mailbox(files_, base, path, fault);
  if (!mailbox && fault.error != ENOENT) return std::nullopt;
  fault = {};
  const auto verdict = [&](const Usage& usage) {
    return has_room(limits, usage.bytes, usage.messages, size) ? Room::Yes : Room::No;
  };
  if (!mailbox) return verdict({});
  const auto known = usable(mailbox.get(), limits, size);
  if (known) return verdict(*known);
  const Counting counting(*this, path);
  // Somebody else may have done it while we waited.
  if (const auto now = usable(mailbox.get(), limits, size)) return verdict(*now);
  const auto usage = count_and_write(mailbox.get(), path, limits, fault);
  return usage ? std::optional(verdict(*usage)) : std::nullopt;
}

// What the file says, when it may be believed.
std::optional<Usage> Quota::usable(int mailbox, const QuotaLimits& limits, std::uint64_t size) const {
  std::string why;
  const auto file = read_quota_file(mailbox, why);
  if (!file || file->lines == 0 || file->size >= kLongFile || file->limits != limits) return std::nullopt;
  if (has_room(limits, file->usage.bytes, file->usage.messages, size)) return file->usage;
  const bool stale = file->changed < seconds(clock_.wall()) - kStale;
  return file->lines > 1 || stale ? std::nullopt : std::optional(file->usage);
}

std::optional<Usage> Quota::recalculate(int mailbox, const std::string& path, const QuotaLimits& limits, Fault& fault) {
  const Counting counting(*this, path);
  return count_and_write(mailbox, path, limits, fault);
}

std::optional<Usage> Quota::count_and_write(int mailbox, const std::string& path, const QuotaLimits& limits,
                                            Fault& fault) {
  std::optional<Usage> usage = reader_.count(mailbox, path, fault);
  for (int attempt = 1; usage && attempt < kAttempts; ++attempt) {
    // Dovecot moves and removes what it likes meanwhile. A second count is cheap: of folders that have not changed it
    // need not be made (UsageReader), and when it comes to the same, nothing has.
    const auto again = reader_.count(mailbox, path, fault);
    if (again == usage) {
      replace(mailbox, limits, *usage);
      return usage;
    }
    usage = again;
  }
  if (usage) drop(mailbox);
  return usage;
}

std::optional<Quota::Change> Quota::added(int mailbox, const QuotaLimits& limits, std::uint64_t bytes,
                                          std::uint64_t messages) {
  const auto more_bytes = static_cast<std::int64_t>(bytes), more_messages = static_cast<std::int64_t>(messages);
  const int error = append(mailbox, more_bytes, more_messages);
  if (error == ENOENT) return std::nullopt;
  if (error != 0) return drop(mailbox), std::nullopt;
  std::string why;
  const auto file = limits.any() ? read_quota_file(mailbox, why) : std::nullopt;
  if (!file) return std::nullopt;
  return Change{plus(file->usage, -more_bytes, -more_messages), file->usage};
}

void Quota::removed(int mailbox, std::uint64_t bytes, std::uint64_t messages) {
  const int error = append(mailbox, -static_cast<std::int64_t>(bytes), -static_cast<std::int64_t>(messages));
  if (error != 0 && error != ENOENT) drop(mailbox);
}

// ---- Who is at which mailbox

Quota::Naming Quota::naming(const std::string& path) {
  Lock lock(mutex_);
  while (busy_[path].counting) changed_.wait(mutex_);
  ++busy_[path].namings;
  return Naming(*this, path);
}

void Quota::end_naming(const std::string& path) {
  Lock lock(mutex_);
  --busy_[path].namings;
  settle(path);
}

void Quota::begin_counting(const std::string& path) {
  Lock lock(mutex_);
  ++busy_[path].counters;
  while (busy_[path].counting || busy_[path].namings > 0) changed_.wait(mutex_);
  busy_[path].counting = true;
}

void Quota::end_counting(const std::string& path) {
  Lock lock(mutex_);
  busy_[path].counting = false;
  --busy_[path].counters;
  settle(path);
}

void Quota::settle(const std::string& path) {
  const auto found = busy_.find(path);
  if (found->second.namings == 0 && found->second.counters == 0) busy_.erase(found);
  changed_.notify_all();
}

Quota::Naming::Naming(Naming&& other) noexcept
    : quota_(std::exchange(other.quota_, nullptr)), path_(std::move(other.path_)) {}

Quota::Naming& Quota::Naming::operator=(Naming&& other) noexcept {
  std::swap(quota_, other.quota_);
  std::swap(path_, other.path_);
  return *this;
}

Quota::Naming::~Naming() {
  if (quota_ != nullptr) quota_->end_naming(path_);
}

}  // namespace vmail::maildir
