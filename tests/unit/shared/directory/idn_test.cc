#include "shared/directory/idn.h"

#include "tests/support/catch.h"

using namespace vmail::directory;

TEST_CASE("both spellings of a domain are one key") {
  CHECK(a_label("example.org") == "example.org");
  CHECK(a_label("bücher.example") == "xn--bcher-kva.example");
  CHECK(a_label("bu\xcc\x88"
                "cher.example") == "xn--bcher-kva.example");  // u and a combining diaeresis
  CHECK(a_label("xn--bcher-kva.example") == "xn--bcher-kva.example");
  CHECK(a_label("straße.example") == "xn--strae-oqa.example");  // IDNA 2008 keeps the sharp s
  CHECK(a_label("例え.テスト") == "xn--r8jz45g.xn--zckzah");
  CHECK(a_label("with_underscore.bücher.example") == "with_underscore.xn--bcher-kva.example");
  CHECK(u_label("xn--bcher-kva.example") == "bücher.example");
  CHECK(u_label("example.org") == "example.org");
  CHECK(u_label("xn--nonsense-.example") == "xn--nonsense-.example");
}

TEST_CASE("what cannot be converted stays itself") {
  CHECK(a_label("\xf0\x9f\x98\x80.\xf0\x9f\x98\x80") != "");
  const std::string longer = std::string(300, 'a') + "ü.example";
  CHECK(a_label(longer) == longer);
}

TEST_CASE("keys of stored addresses") {
  const struct {
    const char* stored;
    const char* key;
  } cases[] = {
      {"Lisi@MyDomain.com", "lisi@mydomain.com"},
      {"@MyDomain.com", "@mydomain.com"},
      {"@Bücher.example", "@xn--bcher-kva.example"},
      {"É@bücher.example", "é@xn--bcher-kva.example"},
      {"\"a b\"@x.org", "a b@x.org"},
      {"", ""},
      {"@", ""},
      {"@@x.org", ""},
      {"@x.org ", ""},
      {"lisi@mydomain.com ", ""},
      {"lisi", ""},
      {"a@b@c", ""},
      {"lisi@[192.0.2.1]", ""},
      {"@[192.0.2.1]", ""},
      {"\xff@x.org", ""},
  };
  for (const auto& c : cases) {
    CAPTURE(c.stored);
    CHECK(address_key(c.stored) == c.key);
  }
}
