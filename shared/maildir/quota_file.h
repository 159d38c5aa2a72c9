// The file `maildirsize` of a Maildir, in which whoever changes the mailbox keeps account of what is in it (Maildir++
// quotas, as Courier and Dovecot write them): a first line with the quota, which does not matter here, then a line
// "bytes messages" for each change, with their signs. The sums are the usage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vmail::maildir {

struct Usage {
  std::uint64_t bytes = 0;
  std::uint64_t messages = 0;
  bool operator==(const Usage&) const = default;
};

// Those who write it make a new one at 5 KiB; what is far longer is no such file.
inline constexpr std::size_t kMaxQuotaFile = 64u << 10;

// Pure. Nothing, and `why` in words, for a text that is none or whose sums are below zero: the mailbox is then to be
// counted.
std::optional<Usage> parse_quota_file(std::string_view text, std::string& why);

// Of the open folder of a mailbox; blocks on the disk. Nothing when there is no such file, or none that can be used.
std::optional<Usage> read_quota_file(int mailbox);

}  // namespace vmail::maildir
