#include "dovecot-lmtp-store/lmtp/reply_reader.h"

#include <algorithm>

namespace vmail::lmtp {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Length of the "class.subject.detail" that `text` begins with (RFC 2034 section 4), 0 when there is none.
std::size_t count_enhanced(std::string_view text, int code) {
  if (text.size() < 5 || text[0] != static_cast<char>('0' + code / 100)) return 0;
  std::size_t at = 1;
  for (int part = 0; part < 2; ++part) {
    if (at == text.size() || text[at] != '.') return 0;
    const std::size_t begin = ++at;
    while (at < text.size() && is_digit(text[at])) ++at;
    if (at == begin || at - begin > 3) return 0;
  }
  return at == text.size() || text[at] == ' ' ? at : 0;
}

}  // namespace

ReplyReader::Result ReplyReader::take(std::string_view& input) {
  if (done_) {
    done_ = false;
    size_ = 0;
    lines_.clear();
  }
  while (!input.empty()) {
    const auto end = input.find('\n');
    const bool whole = end != std::string_view::npos;
    const std::size_t length = whole ? end + 1 : input.size();
    size_ += length;
    if (size_ > kMaxReply) return Result::Malformed;
    line_ += input.substr(0, whole ? end : length);
    input.remove_prefix(length);
    if (!whole) break;
    const Result result = take_line();
    if (result != Result::NeedMore) return result;
  }
  return Result::NeedMore;
}

// "250 text", "250-text" when more lines follow, or "250" alone.
ReplyReader::Result ReplyReader::take_line() {
  std::string line;
  line.swap(line_);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line.size() < 3 || !std::all_of(line.begin(), line.begin() + 3, is_digit) || line[0] < '2' || line[0] > '5') {
    return Result::Malformed;
  }
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  const char mark = line.size() > 3 ? line[3] : ' ';
  if ((mark != ' ' && mark != '-') || (!lines_.empty() && code != code_)) return Result::Malformed;
  code_ = code;
  lines_.push_back(line.size() > 4 ? line.substr(4) : "");
  if (mark == '-') return Result::NeedMore;
  done_ = true;
  return Result::Reply;
}

Reply ReplyReader::reply() const {
  Reply reply{code_, "", ""};
  for (const std::string& line : lines_) {
    std::string_view text = line;
    const std::size_t length = count_enhanced(text, code_);
    if (&line == &lines_.front()) {
      reply.enhanced = text.substr(0, length);
    } else if (!text.empty()) {
      reply.text += ' ';
    }
    // Each line of a reply has the code again.
    if (length > 0) text.remove_prefix(std::min(length + 1, text.size()));
    reply.text += text;
  }
  return reply;
}

}  // namespace vmail::lmtp
