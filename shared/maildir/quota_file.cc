#include "shared/maildir/quota_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "shared/base/text.h"
#include "shared/base/unique_fd.h"

namespace vmail::maildir {
namespace {

// No line says more, so that no sum of a file's lines overflows.
constexpr std::int64_t kMost = std::int64_t{1} << 48;

// Takes a number, with its sign, from the front.
bool take_number(std::string_view& text, std::int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number > kMost || number < -kMost) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

// "bytes messages", with blanks around (Courier writes columns).
bool add_line(std::string_view line, std::int64_t& bytes, std::int64_t& messages) {
  line = trim(line);
  std::int64_t more_bytes = 0, more_messages = 0;
  if (!take_number(line, more_bytes) || line.empty() || (line.front() != ' ' && line.front() != '\t')) return false;
  line = trim(line);
  if (!take_number(line, more_messages) || !line.empty()) return false;
  bytes += more_bytes;
  messages += more_messages;
  return true;
}

// What is no limit that we know, such as Courier's further ones, counts for nothing: the limits then differ from any
// that a mailbox has, or are right all the same.
QuotaLimits parse_limits(std::string_view line) {
  QuotaLimits limits;
  for (const std::string& part : split(trim(line), ',')) {
    if (part.size() < 2) continue;
    const auto number = parse_number(std::string_view(part).substr(0, part.size() - 1));
    if (number && part.back() == 'S') limits.bytes = *number;
    if (number && part.back() == 'C') limits.messages = *number;
  }
  return limits;
}

}  // namespace

std::optional<QuotaFile> parse_quota_file(std::string_view text, std::string& why) {
  if (text.size() > kMaxQuotaFile) {
    why = "it is longer than " + std::to_string(kMaxQuotaFile) + " bytes";
    return std::nullopt;
  }
  if (text.empty() || text.back() != '\n') {
    why = "its last line has no end";
    return std::nullopt;
  }
  QuotaFile file;
  file.size = text.size();
  file.limits = parse_limits(text.substr(0, text.find('\n')));
  text.remove_prefix(text.find('\n') + 1);
  std::int64_t bytes = 0, messages = 0;
  for (; !text.empty(); ++file.lines) {
    const auto end = text.find('\n');
    if (!add_line(text.substr(0, end), bytes, messages)) {
      why = "its line " + std::to_string(file.lines + 2) + " is not two numbers";
      return std::nullopt;
    }
    text.remove_prefix(end + 1);
  }
  if (bytes < 0 || messages < 0) {
    why = "its sums are below zero";
    return std::nullopt;
  }
  file.usage = Usage{static_cast<std::uint64_t>(bytes), static_cast<std::uint64_t>(messages)};
  return file;
}

// As Dovecot writes it: "0S" when there is no limit at all.
std::string format_quota_file(const QuotaLimits& limits, const Usage& usage) {
  std::string text;
  if (limits.bytes != 0 || limits.messages == 0) text = std::to_string(limits.bytes) + 'S';
  if (limits.messages != 0) text += (text.empty() ? "" : ",") + std::to_string(limits.messages) + 'C';
  return text + '\n' + std::to_string(usage.bytes) + ' ' + std::to_string(usage.messages) + '\n';
}

std::optional<QuotaFile> read_quota_file(int mailbox, std::string& why) {
  const auto cannot = [&](int error) {
    why = error == ENOENT ? "" : std::strerror(error);
    return std::nullopt;
  };
  // O_NONBLOCK: a FIFO by that name must not hold a thread.
  const UniqueFd file(::openat(mailbox, kQuotaFileName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) return cannot(errno);
  if (!S_ISREG(info.st_mode)) return cannot(EINVAL);
  std::string text(kMaxQuotaFile + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot(errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  auto parsed = parse_quota_file(text, why);
  if (parsed) parsed->changed = info.st_mtim.tv_sec;
  return parsed;
}

}  // namespace vmail::maildir
