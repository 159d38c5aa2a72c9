// Turns what follows DATA or BDAT into the text of a message, and a text into what follows DATA. Pure; keep at most two
// bytes back, never a line.
//
// Behind DATA the text ends at CRLF.CRLF and nowhere else, and a dot is taken off only behind CRLF: two programs that
// differ in what ends a message can be made to see different messages (SMTP smuggling, CVE-2023-51764). CRLF becomes
// LF; a lone CR or LF, and NUL, are content.
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
  // Whether a LF came that no CR was before.
  bool bare_lf() const { return bare_lf_; }

 private:
  enum class State : unsigned char {
    LineStart,  // behind CRLF, or at the very start (RFC 5321 section 4.5.2: a dot here and CRLF is an empty message)
    Text,
    Cr,     // CR seen, not yet appended
    Dot,    // a dot at the start of a line
    DotCr,  // and CR behind it
  };
  State state_ = State::LineStart;
  bool bare_lf_ = false;
};

// The chunks of one message (RFC 3030): counted octets, no dots. A line end may be split between two of them.
class ChunkDecoder {
 public:
  void begin(std::uint64_t octets, bool last);
  // Takes bytes of the chunk off the front of `input` and appends their text to `out`. True when the chunk has ended:
  // what is left in `input` are commands. To be called once for a chunk of no octets, too.
  bool decode(std::string_view& input, std::string& out);
  bool last() const { return last_; }
  bool bare_lf() const { return bare_lf_; }

 private:
  std::uint64_t left_ = 0;
  bool last_ = false;
  bool after_cr_ = false;  // CR seen, not yet appended
  bool bare_lf_ = false;
};

// As RFC 5321 section 4.5.2 has a client send a text with LF as line ends: each LF as CRLF, a dot at the start of a
// line doubled.
class DataEncoder {
 public:
  void encode(std::string_view text, std::string& out);
  // The end of the message, on a line of its own. Nothing more may follow.
  void finish(std::string& out);

 private:
  bool line_start_ = true;
};

}  // namespace vmail::lmtp
