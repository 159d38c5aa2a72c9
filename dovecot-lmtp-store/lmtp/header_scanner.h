// Looks through the headers of a message for those that a spam filter has set. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmail::lmtp {

// "X-Spam-Flag: YES": a header with that value and nothing more; "X-Spam-Status: Yes*": one that begins so. Case does
// not matter, nor do blanks around the value.
struct HeaderRule {
  std::string name;
  std::string value;
  bool is_prefix = false;
};
// Nothing, and `why` in words, for a text that is none.
std::optional<HeaderRule> parse_header_rule(std::string_view text, std::string& why);

// Fed the beginning of a message in any pieces, with LF or CRLF as line ends.
class HeaderScanner {
 public:
  // What is looked at; headers that go on behind this many bytes are not.
  static constexpr std::size_t kMaxHeaders = 256u << 10;
  // Of one header with its folded lines; longer ones are compared as far as that.
  static constexpr std::size_t kMaxHeader = 1024;

  // `rules` outlive it.
  explicit HeaderScanner(const std::vector<HeaderRule>& rules) : rules_(rules) {}

  // True when more would change nothing: a rule fits, the headers have ended, or enough was looked at.
  bool feed(std::string_view text);
  // The message ends here. Whether a rule fits.
  bool finish();

 private:
  void start_line(char first);
  void end_line();
  void end_header();

  const std::vector<HeaderRule>& rules_;
  std::string header_;  // unfolded, as far as it is kept
  std::size_t seen_ = 0;
  std::size_t line_ = 0;  // bytes of this line
  bool cut_ = false;      // header_ is not all of it
  bool done_ = false;
  bool found_ = false;
};

}  // namespace vmail::lmtp
