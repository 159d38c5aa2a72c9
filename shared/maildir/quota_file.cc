#include "shared/maildir/quota_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

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

}  // namespace

std::optional<Usage> parse_quota_file(std::string_view text, std::string& why) {
  if (text.size() > kMaxQuotaFile) {
    why = "it is longer than " + std::to_string(kMaxQuotaFile) + " bytes";
    return std::nullopt;
  }
  if (text.empty() || text.back() != '\n') {
    why = "its last line has no end";
    return std::nullopt;
  }
  text.remove_prefix(text.find('\n') + 1);
  std::int64_t bytes = 0, messages = 0;
  for (std::size_t number = 2; !text.empty(); ++number) {
    const auto end = text.find('\n');
    if (!add_line(text.substr(0, end), bytes, messages)) {
      why = "its line " + std::to_string(number) + " is not two numbers";
      return std::nullopt;
    }
    text.remove_prefix(end + 1);
  }
  if (bytes < 0 || messages < 0) {
    why = "its sums are below zero";
    return std::nullopt;
  }
  return Usage{static_cast<std::uint64_t>(bytes), static_cast<std::uint64_t>(messages)};
}

std::optional<Usage> read_quota_file(int mailbox) {
  // O_NONBLOCK: a FIFO by that name must not hold a thread.
  const UniqueFd file(::openat(mailbox, "maildirsize", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  std::string text(kMaxQuotaFile + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  std::string why;
  return parse_quota_file(text, why);
}

}  // namespace vmail::maildir
