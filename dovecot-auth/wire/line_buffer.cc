#include "dovecot-auth/wire/line_buffer.h"

#include <string.h>

#include "shared/base/secret.h"

namespace vmail::auth {

LineBuffer::~LineBuffer() {
  wipe(buffer_);
}

void LineBuffer::feed(std::string_view bytes) {
  drop_used();
  if (bytes.empty()) return;
  if (buffer_.capacity() < buffer_.size() + bytes.size()) {
    std::string larger;
    larger.reserve(2 * buffer_.size() + bytes.size());
    larger = std::string_view(buffer_);
    wipe(buffer_);
    buffer_.swap(larger);
  }
  buffer_.append(bytes);
}

LineBuffer::State LineBuffer::next(std::span<char>& line) {
  explicit_bzero(buffer_.data() + wiped_, used_ - wiped_);
  wiped_ = used_;
  const auto end = buffer_.find('\n', scanned_);
  if (end == std::string::npos) {
    drop_used();
    scanned_ = buffer_.size();
    return buffer_.size() > max_line_ ? State::TooLong : State::NeedMore;
  }
  if (end - used_ > max_line_) return State::TooLong;
  line = std::span<char>(buffer_.data() + used_, end - used_);
  used_ = end + 1;
  scanned_ = used_;
  return State::Line;
}

void LineBuffer::drop_used() {
  if (used_ == 0) return;
  if (used_ == buffer_.size()) {
    wipe(buffer_);
    buffer_.shrink_to_fit();
  } else {
    // What moves to the front leaves a copy of its tail behind.
    const std::size_t rest = buffer_.size() - used_;
    memmove(buffer_.data(), buffer_.data() + used_, rest);
    explicit_bzero(buffer_.data() + rest, used_);
    buffer_.resize(rest);
  }
  scanned_ -= used_;
  used_ = wiped_ = 0;
}

}  // namespace vmail::auth
