#include "shared/base/text.h"

#include <string>

#include "tests/support/catch.h"

using namespace vmail;

TEST_CASE("case is folded letter by letter") {
  CHECK(fold_case("") == "");
  CHECK(fold_case("AZaz09@[`{") == "azaz09@[`{");
  CHECK(fold_case("\xc3\x84\xc3\x96\xc3\x9c") == "\xc3\xa4\xc3\xb6\xc3\xbc");  // A, O, U with diaeresis
  CHECK(fold_case("\xd0\x9f\xd0\xa0") == "\xd0\xbf\xd1\x80");                  // Cyrillic
  CHECK(fold_case("\xf0\x90\x90\x80") == "\xf0\x90\x90\xa8");                  // Deseret, four bytes
  CHECK(fold_case("\xe6\xbc\xa2") == "\xe6\xbc\xa2");                          // no case
  CHECK(fold_case("\xc3\x9f") == "\xc3\x9f");                                  // sharp s stays one letter
  // Bytes that are not UTF-8 stay as they are.
  CHECK(fold_case("A\xff\xc3"
                  "B") ==
        "a\xff\xc3"
        "b");
  CHECK(fold_case(std::string("A\0B", 3)) == std::string("a\0b", 3));
}

TEST_CASE("folding twice changes nothing") {
  for (const std::string text : {"John+News", "\xc3\x9c\xce\xa3\xc4\xb0", "\xff\xfe", "\xe1\xba\x9e"}) {
    CAPTURE(text);
    CHECK(fold_case(fold_case(text)) == fold_case(text));
  }
}

TEST_CASE("UTF-8 is told from other bytes") {
  for (const std::string good : {"", "abc", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                 "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CAPTURE(good);
    CHECK(is_utf8(good));
  }
  for (const std::string bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x9f\x98", "\xff",
        "a\xe2\x82"
        "b"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_utf8(bad));
  }
}

TEST_CASE("ASCII case is ignored") {
  CHECK(equal_ignoring_ascii_case("PLAIN", "plain"));
  CHECK(equal_ignoring_ascii_case("", ""));
  CHECK_FALSE(equal_ignoring_ascii_case("PLAIN", "plai"));
  CHECK_FALSE(equal_ignoring_ascii_case("[", "{"));
}

TEST_CASE("blanks are trimmed") {
  CHECK(trim("  a b \t\r\n") == "a b");
  CHECK(trim(" \t") == "");
  CHECK(trim("") == "");
}

TEST_CASE("text is split") {
  using Parts = std::vector<std::string>;
  CHECK(split("a,b,c", ',') == Parts{"a", "b", "c"});
  CHECK(split("", ',') == Parts{""});
  CHECK(split(",a,,", ',') == Parts{"", "a", "", ""});
}

TEST_CASE("numbers are digits and nothing else") {
  CHECK(parse_number("0") == 0u);
  CHECK(parse_number("18446744073709551615") == 18446744073709551615u);
  for (const std::string bad : {"", "-1", "+1", " 1", "1 ", "1x", "0x10", "18446744073709551616", "1e3"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_number(bad));
  }
}

TEST_CASE("what an outsider sent is made printable") {
  CHECK(printable("a b@x.org") == "a b@x.org");
  CHECK(printable("a\r\nb") == "a\\x0d\\x0ab");
  CHECK(printable(std::string("\0\x1b\x7f", 3)) == "\\x00\\x1b\\x7f");
  CHECK(printable("\xc3\xbc") == "\xc3\xbc");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");  // CSI: some terminals act on it
  CHECK(printable("\xff") == "\\xff");
  CHECK(printable("abcdef", 3) == "abc...");
  CHECK(printable("abc", 3) == "abc");
  CHECK(printable(std::string(100000, '\xff')).size() < 300);
}
