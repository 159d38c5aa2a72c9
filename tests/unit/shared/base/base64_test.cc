#include "shared/base/base64.h"

#include <string>

#include "tests/support/catch.h"

using vmail::base64_decode;
using vmail::base64_encode;

TEST_CASE("base64 gives the values of RFC 4648 section 10") {
  const std::pair<std::string, std::string> published[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [bytes, text] : published) {
    CHECK(base64_encode(bytes) == text);
    CHECK(base64_decode(text) == bytes);
  }
}

TEST_CASE("base64 takes every byte") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (std::size_t length = 0; length <= all.size(); ++length) {
    const auto bytes = all.substr(all.size() - length);
    REQUIRE(base64_decode(base64_encode(bytes)) == bytes);
  }
}

TEST_CASE("what is not base64 is refused") {
  for (const std::string text : {"Zg", "Zg=", "Z", "Z===", "====", "=", "Zg==Zg==", "Zm=v", "Zm 9", "Zm9v\n", "Zm9-",
                                 "Zm9_", "\xc3\xbcZm", "Zg=a"}) {
    CAPTURE(text);
    CHECK_FALSE(base64_decode(text));
  }
  // The bits left over must be zero, or two texts would mean one value.
  CHECK_FALSE(base64_decode("Zh=="));
  CHECK_FALSE(base64_decode("Zm9="));
  CHECK_FALSE(base64_decode(std::string("Zm\0v", 4)));
}
