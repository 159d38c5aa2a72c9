#include "dovecot-lmtp-store/lmtp/line_reader.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

using vmail::lmtp::kMaxLine;
using vmail::lmtp::LineReader;

namespace {

// What comes of the input in pieces: lines, "!long" and "!lf".
std::vector<std::string> read(std::string_view bytes, std::size_t step) {
  LineReader reader;
  std::vector<std::string> seen;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    for (;;) {
      const auto result = reader.take(piece);
      if (result == LineReader::Result::NeedMore) break;
      if (result == LineReader::Result::Line) seen.push_back(reader.line());
      if (result == LineReader::Result::TooLong) seen.emplace_back("!long");
      if (result == LineReader::Result::BareLf) {
        seen.emplace_back("!lf");
        return seen;
      }
    }
  }
  return seen;
}

void check(const std::string& bytes, const std::vector<std::string>& expected) {
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    CAPTURE(step);
    CHECK(read(bytes, step) == expected);
    if (step == 64) step = bytes.size() - 1;
  }
  for (std::size_t split = 0; split < bytes.size() && bytes.size() < 200; ++split) {
    LineReader reader;
    std::vector<std::string> seen;
    for (std::string_view piece : {std::string_view(bytes).substr(0, split), std::string_view(bytes).substr(split)}) {
      while (!piece.empty()) {
        const auto result = reader.take(piece);
        if (result == LineReader::Result::Line) seen.push_back(reader.line());
        if (result == LineReader::Result::TooLong) seen.emplace_back("!long");
        if (result == LineReader::Result::BareLf) {
          seen.emplace_back("!lf");
          split = bytes.size();
          piece = {};
        }
      }
    }
    if (split < bytes.size()) CHECK(seen == expected);
  }
}

}  // namespace

TEST_CASE("lines end with CRLF, at every split") {
  check("LHLO a\r\nQUIT\r\n", {"LHLO a", "QUIT"});
  check("\r\n\r\nNOOP\r\n", {"", "", "NOOP"});
  check("half", {});
  check("half\r", {});
}

TEST_CASE("a lone CR belongs to the line") {
  check("a\rb\r\r\nc\r\n", {"a\rb\r", "c"});
}

TEST_CASE("a bare LF is the end") {
  check("a\r\nb\nQUIT\r\n", {"a", "!lf"});
  check("\n", {"!lf"});
  check("a\r\n\n", {"a", "!lf"});
}

TEST_CASE("a line over the limit is skipped to its end") {
  const std::string longest(kMaxLine - 2, 'a');
  check(longest + "\r\nNOOP\r\n", {longest, "NOOP"});
  check(longest + "a\r\nNOOP\r\n", {"!long", "NOOP"});
  check(std::string(20000, 'a') + "\r\nNOOP\r\n", {"!long", "NOOP"});
  check(std::string(20000, '\r') + "\nNOOP\r\n", {"!long", "NOOP"});
  check(std::string(20000, 'a') + "\n", {"!lf"});
}
