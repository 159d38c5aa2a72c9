// The file `maildirsize` of a Maildir, in which whoever changes the mailbox keeps account of what is in it (Maildir++
// quotas, as Courier and Dovecot write them): a first line with the quota, "10485760S,1000C", then a line
// "bytes messages" for each change, with their signs. The sums are the usage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/quota_limits.h"

namespace vmail::maildir {

struct Usage {
  std::uint64_t bytes = 0;
  std::uint64_t messages = 0;
  bool operator==(const Usage&) const = default;
};

struct QuotaFile {
  QuotaLimits limits;  // that it was written for
  Usage usage;
  std::size_t lines = 0;     // behind the first
  std::size_t size = 0;      // in bytes
  std::int64_t changed = 0;  // seconds since 1970; 0 when only its text is known
};

// Those who write it make a new one at 5 KiB; what is far longer is no such file.
inline constexpr std::size_t kMaxQuotaFile = 64u << 10;
inline constexpr const char* kQuotaFileName = "maildirsize";

// Pure. Nothing, and `why` in words, for a text that is none or whose sums are below zero: the mailbox is then to be
// counted.
std::optional<QuotaFile> parse_quota_file(std::string_view text, std::string& why);
// The text of a new one. Pure.
std::string format_quota_file(const QuotaLimits& limits, const Usage& usage);

// Of the open folder of a mailbox; blocks on the disk. Nothing when there is no such file, or none that can be used;
// `why` says so then, and is empty when there is none at all.
std::optional<QuotaFile> read_quota_file(int mailbox, std::string& why);

}  // namespace vmail::maildir
