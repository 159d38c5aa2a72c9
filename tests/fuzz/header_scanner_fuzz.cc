// Headers of a message: every split finds the same, and what a plain reading of short headers finds. The first line is
// a rule.
#include <string>
#include <vector>

#include "dovecot-lmtp-store/lmtp/header_scanner.h"
#include "shared/base/text.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail;

static vmail::fuzz::Reach reached_bad("a bad rule");
static vmail::fuzz::Reach reached_prefix("a rule about a beginning");
static vmail::fuzz::Reach reached_found("a header that fits");
static vmail::fuzz::Reach reached_folded("a folded header");
static vmail::fuzz::Reach reached_body("a body behind the headers");

namespace {

bool scan(const std::vector<lmtp::HeaderRule>& rules, std::string_view text, std::size_t step) {
  lmtp::HeaderScanner scanner(rules);
  for (; !text.empty(); text.remove_prefix(std::min(step, text.size()))) {
    if (scanner.feed(text.substr(0, step))) break;
  }
  return scanner.finish();
}

// The same by whole lines.
bool read_plainly(const lmtp::HeaderRule& rule, std::string_view text) {
  std::vector<std::string> headers;
  for (std::string line : split(text, '\n')) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) {
      reached_body.hit();
      break;
    }
    const bool folded = (line.front() == ' ' || line.front() == '\t') && !headers.empty();
    if (folded) reached_folded.hit();
    if (folded) headers.back() += line;
    if (!folded) headers.push_back(line);
  }
  for (const std::string_view header : headers) {
    const auto colon = header.find(':');
    if (colon == std::string_view::npos || header.front() == ' ' || header.front() == '\t') continue;
    if (!equal_ignoring_ascii_case(trim(header.substr(0, colon)), rule.name)) continue;
    const std::string_view value = trim(header.substr(colon + 1));
    const auto part = rule.is_prefix ? value.substr(0, rule.value.size()) : value;
    if (equal_ignoring_ascii_case(part, rule.value)) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = vmail::fuzz::view(data, size);
  const auto line = bytes.find('\n');
  const std::string_view text = line == std::string_view::npos ? std::string_view() : bytes.substr(line + 1);
  std::string why;
  const auto rule = lmtp::parse_header_rule(bytes.substr(0, line), why);
  if (!rule) {
    reached_bad.hit();
    require(!why.empty(), "a refusal has a reason");
    return 0;
  }
  if (rule->is_prefix) reached_prefix.hit();
  const std::vector<lmtp::HeaderRule> rules = {*rule};
  const bool found = scan(rules, text, text.size() + 1);
  if (found) reached_found.hit();
  require(found == scan(rules, text, 1), "byte by byte finds the same");
  require(found == scan(rules, text, 7), "pieces of seven find the same");
  if (text.size() < lmtp::HeaderScanner::kMaxHeader) {
    require(found == read_plainly(*rule, text), "a plain reading finds the same");
  }
  return 0;
}
