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
        const std::string_view line = input.substr(0, length);
        if (!bare_lf_) bare_lf_ = line.find('\n') != std::string_view::npos;
        out += line;
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

void ChunkDecoder::begin(std::uint64_t octets, bool last) {
  left_ = octets;
  last_ = last;
}

bool ChunkDecoder::decode(std::string_view& input, std::string& out) {
  std::string_view piece = input.substr(0, std::min<std::uint64_t>(left_, input.size()));
  input.remove_prefix(piece.size());
  left_ -= piece.size();
  while (!piece.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (piece.front() == '\n') {
        out += '\n';
        piece.remove_prefix(1);
        continue;
      }
      out += '\r';
    }
    const auto length = std::min(piece.find('\r'), piece.size());
    const std::string_view line = piece.substr(0, length);
    if (!bare_lf_) bare_lf_ = line.find('\n') != std::string_view::npos;
    out += line;
    piece.remove_prefix(length);
    if (!piece.empty()) {
      after_cr_ = true;
      piece.remove_prefix(1);
    }
  }
  if (left_ > 0) return false;
  if (last_ && after_cr_) out += '\r';
  return true;
}

void DataEncoder::encode(std::string_view text, std::string& out) {
  while (!text.empty()) {
    if (line_start_ && text.front() == '.') out += '.';
    const auto length = text.find('\n');
    line_start_ = length != std::string_view::npos;
    out += text.substr(0, length);
    if (!line_start_) return;
    out += "\r\n";
    text.remove_prefix(length + 1);
  }
}

void DataEncoder::finish(std::string& out) {
  out += line_start_ ? ".\r\n" : "\r\n.\r\n";
}

}  // namespace vmail::lmtp
