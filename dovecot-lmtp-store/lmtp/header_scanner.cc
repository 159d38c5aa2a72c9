#include "dovecot-lmtp-store/lmtp/header_scanner.h"

#include <algorithm>

#include "shared/base/text.h"

namespace vmail::lmtp {

std::optional<HeaderRule> parse_header_rule(std::string_view text, std::string& why) {
  const auto colon = text.find(':');
  HeaderRule rule;
  rule.name = trim(text.substr(0, colon));
  if (colon != std::string_view::npos) rule.value = trim(text.substr(colon + 1));
  // RFC 5322 section 3.6.8: a name is printable ASCII without blanks.
  const bool good = std::all_of(rule.name.begin(), rule.name.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (rule.name.empty() || !good || rule.value.empty()) {
    why = "must be \"HEADER: VALUE\", or \"HEADER: BEGINNING*\"";
    return std::nullopt;
  }
  if (rule.name.size() + rule.value.size() + 2 > HeaderScanner::kMaxHeader) {
    why = "is longer than " + std::to_string(HeaderScanner::kMaxHeader) + " bytes";
    return std::nullopt;
  }
  if (rule.value.back() == '*') {
    rule.value.pop_back();
    rule.is_prefix = true;
  }
  return rule;
}

bool HeaderScanner::feed(std::string_view text) {
  for (std::size_t at = 0; at < text.size() && !done_; ++at) {
    const char c = text[at];
    if (++seen_ > kMaxHeaders) {
      done_ = true;
    } else if (c == '\n') {
      end_line();
    } else {
      if (line_ == 0) start_line(c);
      ++line_;
      if (header_.size() < kMaxHeader) {
        header_ += c;
      } else {
        cut_ = true;
      }
    }
  }
  return done_;
}

bool HeaderScanner::finish() {
  if (!done_) end_header();
  return found_;
}

// What begins with a blank goes on with the line before (RFC 5322 section 2.2.3); anything else is a new header.
void HeaderScanner::start_line(char first) {
  if (first != ' ' && first != '\t') end_header();
}

void HeaderScanner::end_line() {
  const bool cr = !cut_ && !header_.empty() && header_.back() == '\r' && line_ > 0;
  if (cr) header_.pop_back();
  const bool empty = line_ == (cr ? 1 : 0);
  line_ = 0;
  if (!empty) return;
  end_header();
  done_ = true;
}

void HeaderScanner::end_header() {
  const std::string_view header = header_;
  const auto colon = header.find(':');
  // A first line with blanks in front goes on with nothing, and is no header.
  const bool good = !header.empty() && header.front() != ' ' && header.front() != '\t';
  if (good && colon != std::string_view::npos) {
    const std::string_view name = trim(header.substr(0, colon));
    const std::string_view value = trim(header.substr(colon + 1));
    for (const HeaderRule& rule : rules_) {
      if (!equal_ignoring_ascii_case(name, rule.name)) continue;
      const std::string_view compared = rule.is_prefix ? value.substr(0, rule.value.size()) : value;
      if (equal_ignoring_ascii_case(compared, rule.value) && (rule.is_prefix || !cut_)) found_ = done_ = true;
    }
  }
  header_.clear();
  cut_ = false;
}

}  // namespace vmail::lmtp
