// Names of messages in a Maildir, as Dovecot sorts and reads them: SECS.M<usec>P<pid>Q<n>.<host>,S=<size>,W=<vsize>.
// The name is the message's identity for Dovecot: none is ever used twice.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/clock.h"

namespace vmail::maildir {

// The host in the form that may stand in a name: '/', ':', ',' and what is not printable ASCII as \ooo, cut at 128
// bytes.
std::string escape_host(std::string_view host);

// Gives out names; from any thread. Names of one source sort in the order in which they were given out.
class Names {
 public:
  Names(const Clock& clock, std::string_view host);

  // `size` is the message's in the file, `vsize` the same with each bare LF counted as CRLF (RFC822.SIZE).
  std::string next(std::uint64_t size, std::uint64_t vsize);
  const std::string& host() const { return host_; }

 private:
  const Clock& clock_;
  const std::string host_;
  const pid_t pid_;
  std::atomic<std::uint64_t> last_{0};  // microseconds since 1970
  std::atomic<std::uint64_t> count_{0};
};

struct ParsedName {
  std::int64_t seconds = 0;
  pid_t pid = 0;
  std::string_view host;  // escaped
};
// Nothing for a name that Names did not make: those of Dovecot and others have no Q. Views into `name`.
std::optional<ParsedName> parse_name(std::string_view name);

}  // namespace vmail::maildir
