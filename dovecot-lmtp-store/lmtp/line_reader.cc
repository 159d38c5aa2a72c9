#include "dovecot-lmtp-store/lmtp/line_reader.h"

#include <algorithm>
#include <utility>

namespace vmail::lmtp {

LineReader::Result LineReader::take(std::string_view& input) {
  if (done_) {
    std::string().swap(line_);  // an idle session owns no buffer
    done_ = false;
  }
  while (!input.empty()) {
    if (input.front() == '\n') {
      input.remove_prefix(1);
      if (!after_cr_) return Result::BareLf;
      after_cr_ = false;
      done_ = true;
      return std::exchange(skipping_, false) ? Result::TooLong : Result::Line;
    }
    if (after_cr_ && !skipping_) line_ += '\r';  // it ended nothing, so it belongs to the line
    after_cr_ = input.front() == '\r';
    std::size_t length = 1;
    if (!after_cr_) {
      length = std::min(input.find_first_of("\r\n"), input.size());
      if (!skipping_) line_ += input.substr(0, std::min(length, kMaxLine));
    }
    input.remove_prefix(length);
    if (line_.size() + 2 > kMaxLine) {
      skipping_ = true;
      std::string().swap(line_);
    }
  }
  return Result::NeedMore;
}

}  // namespace vmail::lmtp
