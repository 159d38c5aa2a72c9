// Turns what follows DATA into the text of a message. Pure; keeps at most two bytes back, never a line.
//
// The text ends at CRLF.CRLF and nowhere else, and a dot is taken off only behind CRLF: two programs that differ in
// what ends a message can be made to see different messages (SMTP smuggling, CVE-2023-51764). CRLF becomes LF; a lone
// CR or LF, and NUL, are content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vmail::lmtp {

// Counts a text in the two ways that a Maildir name tells.
class Sizes {
 public:
  void add(std::string_view text);
  std::uint64_t size() const { return size_; }
  // With each LF that follows no CR counted as CRLF.
  std::uint64_t vsize() const { return size_ + bare_; }

 private:
  std::uint64_t size_ = 0;
  std::uint64_t bare_ = 0;
  bool after_cr_ = false;
};

class DataDecoder {
 public:
  // Takes bytes off the front of `input` and appends their text to `out`. True when the message has ended: what is left
  // in `input` are commands.
  bool decode(std::string_view& input, std::string& out);

 private:
  enum class State : unsigned char {
    LineStart,  // behind CRLF, or at the very start (RFC 5321 section 4.5.2: a dot here and CRLF is an empty message)
    Text,
    Cr,     // CR seen, not yet appended
    Dot,    // a dot at the start of a line
    DotCr,  // and CR behind it
  };
  State state_ = State::LineStart;
};

}  // namespace vmail::lmtp
