#include "dovecot-lmtp-store/lmtp/data_decoder.h"

#include <string>

#include "tests/support/catch.h"

using namespace vmail::lmtp;

namespace {

struct Decoded {
  std::string text;
  std::string rest;  // commands behind the message
  bool ended = false;
  std::uint64_t size = 0;
  std::uint64_t vsize = 0;
};

Decoded decode(const std::string& bytes, std::size_t split) {
  DataDecoder decoder;
  Sizes sizes;
  Decoded decoded;
  for (std::string piece : {bytes.substr(0, split), bytes.substr(split)}) {
    if (decoded.ended) {
      decoded.rest += piece;
      continue;
    }
    std::string_view input = piece;
    const std::size_t before = decoded.text.size();
    decoded.ended = decoder.decode(input, decoded.text);
    sizes.add(std::string_view(decoded.text).substr(before));
    decoded.rest = input;
  }
  decoded.size = sizes.size();
  decoded.vsize = sizes.vsize();
  return decoded;
}

void check(const std::string& bytes, const std::string& text, std::uint64_t vsize, const std::string& rest = "") {
  CAPTURE(bytes);
  for (std::size_t split = 0; split <= bytes.size(); ++split) {
    CAPTURE(split);
    const Decoded decoded = decode(bytes, split);
    CHECK(decoded.ended);
    CHECK(decoded.text == text);
    CHECK(decoded.rest == rest);
    CHECK(decoded.size == text.size());
    CHECK(decoded.vsize == vsize);
  }
}

void check_open(const std::string& bytes) {
  CAPTURE(bytes);
  for (std::size_t split = 0; split <= bytes.size(); ++split) CHECK_FALSE(decode(bytes, split).ended);
}

}  // namespace

TEST_CASE("lines are stored with LF and counted with CRLF") {
  check("a\r\nbc\r\n.\r\n", "a\nbc\n", 7);
  check("\r\n\r\n.\r\n", "\n\n", 4);
}

TEST_CASE("a dot at once is an empty message") {
  check(".\r\n", "", 0);
  check(".\r\nQUIT\r\n", "", 0, "QUIT\r\n");
}

TEST_CASE("what follows the dot is left for the commands") {
  check("a\r\n.\r\nMAIL FROM:<>\r\n", "a\n", 3, "MAIL FROM:<>\r\n");
  check("a\r\n.\r\n.\r\n", "a\n", 3, ".\r\n");
}

TEST_CASE("a dot is taken off behind CRLF, and there alone") {
  check("..\r\n.\r\n", ".\n", 3);
  check("...\r\n.\r\n", "..\n", 4);
  check(".a\r\na.\r\n..b\r\n.\r\n", "a\na.\n.b\n", 11);
  check("a\n.b\r\n.\r\n", "a\n.b\n", 7);
  check("a\n..\r\n.\r\n", "a\n..\n", 7);
  check("a\r..b\r\n.\r\n", "a\r..b\n", 7);
  check(".\rx\r\n.\r\n", "\rx\n", 4);
  check(".\r\r\n.\r\n", "\r\n", 2);
  check(".\n\r\n.\r\n", "\n\n", 4);
}

TEST_CASE("nothing but CRLF.CRLF ends a message") {
  for (const char* bytes :
       {"a\n.\n", "a\r.\r", "a\n.\r\n", "a\r\n.\n", "a\r\n.\r", "a\r.\r\n", "a\r\n.\r.\r\n", "a\r\n. \r\n",
        "a\r\n..\r\n", "a.\r\n", ".\n", ".\r", "", "\r\n", "a\r\n.\rQUIT\r\n", "\n.\r\n"}) {
    check_open(bytes);
  }
}

TEST_CASE("lone CR, lone LF and NUL are content") {
  check("a\nb\r\n.\r\n", "a\nb\n", 6);
  check("a\rb\r\n.\r\n", "a\rb\n", 5);
  check("a\r\r\n.\r\n", "a\r\n", 3);      // its LF follows a CR in the file
  check("a\r\r\r\n.\r\n", "a\r\r\n", 4);  // one of the CRs
  check("\r\r\n.\r\n", "\r\n", 2);
  check(std::string("a\0b\r\n.\r\n", 9 - 1), std::string("a\0b\n", 4), 5);
  check("\xff\xfe\r\n.\r\n", "\xff\xfe\n", 4);
}

TEST_CASE("sizes are the same however a text comes") {
  const std::string text = "\na\r\n\r\n\n\rb\n\r";
  for (std::size_t split = 0; split <= text.size(); ++split) {
    Sizes sizes;
    sizes.add(std::string_view(text).substr(0, split));
    sizes.add({});
    sizes.add(std::string_view(text).substr(split));
    CHECK(sizes.size() == text.size());
    CHECK(sizes.vsize() == text.size() + 3);
  }
}
