#include "dovecot-auth/wire/line_buffer.h"

#include <vector>

#include "tests/support/catch.h"

using namespace vmail::auth;

namespace {

using Texts = std::vector<std::string>;

// All lines so far; "!" when one is too long.
Texts take(LineBuffer& lines) {
  Texts texts;
  for (;;) {
    std::span<char> line;
    switch (lines.next(line)) {
      case LineBuffer::State::NeedMore:
        return texts;
      case LineBuffer::State::TooLong:
        texts.emplace_back("!");
        return texts;
      case LineBuffer::State::Line:
        texts.emplace_back(line.begin(), line.end());
        line.data()[line.size()] = '\0';  // allowed: the place of the LF
    }
  }
}

}  // namespace

TEST_CASE("line buffer: lines come out whole however they come in") {
  const std::string bytes = "one\n\nthree three\nfour";
  const Texts all = {"one", "", "three three"};
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      LineBuffer lines(100);
      Texts got;
      for (const auto& piece : {bytes.substr(0, first), bytes.substr(first, second - first), bytes.substr(second)}) {
        lines.feed(piece);
        for (auto& text : take(lines)) got.push_back(std::move(text));
      }
      CHECK(got == all);
      CHECK_FALSE(lines.empty());
      lines.feed("\n");
      CHECK(take(lines) == Texts{"four"});
      CHECK(lines.empty());
    }
  }
}

TEST_CASE("line buffer: a line may be as long as the limit, and no longer") {
  LineBuffer exact(5);
  exact.feed("12345\n12345\n");
  CHECK(take(exact) == Texts{"12345", "12345"});

  LineBuffer longer(5);
  longer.feed("123456\n");
  CHECK(take(longer) == Texts{"!"});

  LineBuffer endless(5);
  endless.feed("12345");
  CHECK(take(endless).empty());
  endless.feed("6");
  CHECK(take(endless) == Texts{"!"});
  CHECK(take(endless) == Texts{"!"});
}

TEST_CASE("line buffer: a line that was taken is wiped") {
  LineBuffer lines(100);
  lines.feed("password=secret\nnext\nrest");
  std::span<char> line;
  REQUIRE(lines.next(line) == LineBuffer::State::Line);
  const std::span<char> first = line;
  REQUIRE(lines.next(line) == LineBuffer::State::Line);
  CHECK(std::string(line.begin(), line.end()) == "next");
  for (const char c : first) CHECK(c == '\0');
}
