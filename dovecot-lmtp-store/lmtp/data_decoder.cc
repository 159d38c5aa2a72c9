#include "dovecot-lmtp-store/lmtp/data_decoder.h"

#include <algorithm>

namespace vmail::lmtp {

void Sizes::add(std::string_view text) {
  for (auto at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    const bool behind_cr = at == 0 ? after_cr_ : text[at - 1] == '\r';
    if (!behind_cr) ++bare_;
  }
  if (!text.empty()) after_cr_ = text.back() == '\r';
  size_ += text.size();
}

bool DataDecoder::decode(std::string_view& input, std::string& out) {
  while (!input.empty()) {
    const char c = input.front();
    switch (state_) {
      case State::LineStart:
        if (c == '.') {
          state_ = State::Dot;
          input.remove_prefix(1);
        } else {
          state_ = State::Text;
        }
        break;
      case State::Text: {
        const auto length = std::min(input.find('\r'), input.size());
        out += input.substr(0, length);
        input.remove_prefix(length);
        if (!input.empty()) {
          state_ = State::Cr;
          input.remove_prefix(1);
        }
        break;
      }
      case State::Cr:
        if (c == '\n') {
          out += '\n';
          state_ = State::LineStart;
          input.remove_prefix(1);
        } else {
          out += '\r';
          state_ = State::Text;  // which takes a second CR as the beginning of a line end again
        }
        break;
      case State::Dot:
        if (c == '\r') {
          state_ = State::DotCr;
          input.remove_prefix(1);
        } else {
          state_ = State::Text;
        }
        break;
      case State::DotCr:
        if (c == '\n') {
          input.remove_prefix(1);
          state_ = State::LineStart;
          return true;
        }
        state_ = State::Cr;
        break;
    }
  }
  return false;
}

}  // namespace vmail::lmtp
