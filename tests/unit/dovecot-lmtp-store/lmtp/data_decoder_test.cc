#include "dovecot-lmtp-store/lmtp/data_decoder.h"

#include <string>
#include <vector>

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

TEST_CASE("a LF without CR is noticed, wherever it stands") {
  for (const char* bytes : {"a\nb\r\n.\r\n", "\n\r\n.\r\n", "a\r\n\n\r\n.\r\n", ".\nx\r\n.\r\n", "a\r\n..\n\r\n.\r\n",
                            "a\r\r\n\n\r\n.\r\n"}) {
    CAPTURE(bytes);
    for (const std::size_t step : {1u, 2u, 100u}) {
      DataDecoder decoder;
      std::string out;
      for (std::string_view rest = bytes; !rest.empty();) {
        std::string_view piece = rest.substr(0, step);
        rest.remove_prefix(piece.size());
        decoder.decode(piece, out);
      }
      CHECK(decoder.bare_lf());
    }
  }
  DataDecoder decoder;
  std::string out;
  std::string_view good = "a\r\n\rb\r\r\n.\r\n";
  CHECK(decoder.decode(good, out));
  CHECK_FALSE(decoder.bare_lf());
}

TEST_CASE("chunks are counted, and their line ends put together") {
  const auto decode = [](const std::vector<std::string>& chunks, std::size_t step, bool& bare_lf) {
    ChunkDecoder decoder;
    std::string out;
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      decoder.begin(chunks[i].size(), i + 1 == chunks.size());
      // What follows a chunk is not taken.
      const std::string bytes = chunks[i] + "NOOP\r\n";
      std::string_view rest = bytes;
      bool ended = chunks[i].empty() && decoder.decode(rest, out);
      while (!ended) {
        std::string_view piece = rest.substr(0, step);
        const std::size_t before = piece.size();
        ended = decoder.decode(piece, out);
        rest.remove_prefix(before - piece.size());
      }
      CHECK(rest == "NOOP\r\n");
      CHECK(decoder.last() == (i + 1 == chunks.size()));
    }
    bare_lf = decoder.bare_lf();
    return out;
  };
  const struct {
    std::vector<std::string> chunks;
    std::string text;
    bool bare_lf;
  } cases[] = {
      {{""}, "", false},
      {{"a\r\nb\r\n"}, "a\nb\n", false},
      {{"a\r", "\nb"}, "a\nb", false},
      {{"a\r", "", "\nb"}, "a\nb", false},
      {{"a\r", "b\r"}, "a\rb\r", false},
      {{"a\r"}, "a\r", false},
      {{"a\r\r\n"}, "a\r\n", false},
      {{".\r\n..\r\n.\r\n"}, ".\n..\n.\n", false},
      {{"a\nb"}, "a\nb", true},
      {{"a\r\n", "\nb"}, "a\n\nb", true},
      {{std::string("\0\xff", 2)}, std::string("\0\xff", 2), false},
  };
  for (const auto& test : cases) {
    for (const std::size_t step : {1u, 2u, 100u}) {
      CAPTURE(test.text, step);
      bool bare_lf = false;
      CHECK(decode(test.chunks, step, bare_lf) == test.text);
      CHECK(bare_lf == test.bare_lf);
    }
  }
}

TEST_CASE("a text is sent so that it comes out as it was") {
  const auto encode = [](const std::string& text, std::size_t step) {
    DataEncoder encoder;
    std::string out;
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view piece = rest.substr(0, step);
      rest.remove_prefix(piece.size());
      encoder.encode(piece, out);
    }
    encoder.finish(out);
    return out;
  };
  for (const std::size_t step : {1u, 2u, 100u}) {
    CHECK(encode("", step) == ".\r\n");
    CHECK(encode("a\nb\n", step) == "a\r\nb\r\n.\r\n");
    CHECK(encode("a", step) == "a\r\n.\r\n");
    CHECK(encode(".\n..\na.\n", step) == "..\r\n...\r\na.\r\n.\r\n");
    CHECK(encode("\n.\n", step) == "\r\n..\r\n.\r\n");
    CHECK(encode("a\rb\r\n", step) == "a\rb\r\r\n.\r\n");
  }
}
