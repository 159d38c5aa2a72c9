// Cuts the bytes of a peer into command lines. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vmail::lmtp {

// RFC 5321 asks for 512 octets, and more for each extension; SMTPUTF8 paths and ORCPT fit into this.
inline constexpr std::size_t kMaxLine = 4096;

class LineReader {
 public:
  enum class Result {
    NeedMore,  // all input was taken
    Line,      // line() is a command
    TooLong,   // a line over kMaxLine has ended; it was thrown away
    BareLf,    // a LF without CR: a peer that means another line end than we do. Nothing good can follow
  };

  // Takes bytes off the front of `input`, up to the end of one line.
  Result take(std::string_view& input);
  // Without its CRLF; until the next take().
  const std::string& line() const { return line_; }

 private:
  std::string line_;
  bool done_ = false;  // line_ was handed out
  bool skipping_ = false;
  bool after_cr_ = false;  // the last byte was CR, and is not in line_ yet
};

}  // namespace vmail::lmtp
