// Bytes in, lines out. What passes through holds passwords: it is wiped when the next line is asked for, and nothing is
// left behind in memory when the buffer grows. Owns no memory while it is empty. Pure: no descriptor, no clock, no log.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace vmail::auth {

class LineBuffer {
 public:
  // A line of more than `max_line` bytes is TooLong; nothing good can follow it.
  explicit LineBuffer(std::size_t max_line) : max_line_(max_line) {}
  ~LineBuffer();
  LineBuffer(const LineBuffer&) = delete;
  LineBuffer& operator=(const LineBuffer&) = delete;

  void feed(std::string_view bytes);

  enum class State { NeedMore, Line, TooLong };
  // Line: `line` is writable up to and with the place of its LF, and valid until the next call of this object.
  State next(std::span<char>& line);
  // No line has begun that has not ended.
  bool empty() const { return buffer_.empty(); }

 private:
  void drop_used();

  const std::size_t max_line_;
  std::string buffer_;
  std::size_t used_ = 0;     // bytes of lines that were given out
  std::size_t wiped_ = 0;    // of those, wiped already
  std::size_t scanned_ = 0;  // up to here there is no LF in what was not given out
};

}  // namespace vmail::auth
