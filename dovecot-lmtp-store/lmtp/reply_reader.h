// Cuts the bytes of a LMTP server into its replies (RFC 5321 section 4.2.1). Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "dovecot-lmtp-store/lmtp/reply.h"

namespace vmail::lmtp {

class ReplyReader {
 public:
  enum class Result {
    NeedMore,   // all input was taken
    Reply,      // one is whole
    Malformed,  // that is no server of LMTP, or one that never ends; nothing good can follow
  };
  // Of a whole reply with all its lines; those of a long LHLO have less than one.
  static constexpr std::size_t kMaxReply = 16384;

  // Takes bytes off the front of `input`, up to the end of one reply. Lines may end with LF alone.
  Result take(std::string_view& input);

  int code() const { return code_; }
  // Behind the code, without line ends; until the next take().
  const std::vector<std::string>& lines() const { return lines_; }
  // With the enhanced code apart ("" when the first line has none of the code's class), all lines as one text.
  Reply reply() const;

 private:
  Result take_line();

  int code_ = 0;
  std::vector<std::string> lines_;
  std::string line_;
  std::size_t size_ = 0;
  bool done_ = false;  // the reply was handed out
};

}  // namespace vmail::lmtp
