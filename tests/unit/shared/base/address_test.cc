#include "shared/base/address.h"

#include <string>

#include "tests/support/catch.h"

using vmail::parse_address;

namespace {

std::string parsed(std::string_view text) {
  const auto address = parse_address(text);
  return address ? address->local + '|' + address->domain : "-";
}

}  // namespace

TEST_CASE("addresses are split and folded") {
  const struct {
    std::string text;
    std::string expected;  // local|domain, "-" when it can name no mailbox
  } cases[] = {
      {"john@example.org", "john|example.org"},
      {"John+News@Example.TEST", "john+news|example.test"},
      {"a@b", "a|b"},
      {"o'brien!#$%@x.org", "o'brien!#$%|x.org"},
      // UTF-8, composed as it comes: folding is not normalisation.
      {"J\xc3\x9cRGEN@B\xc3\x9c"
       "CHER.example",
       "j\xc3\xbcrgen|b\xc3\xbc"
       "cher.example"},
      {"\xce\xa3@x.org", "\xcf\x83|x.org"},
      {"a@XN--BCHER-KVA.example", "a|xn--bcher-kva.example"},
      // Quoted local parts lose their quotes (RFC 5321 section 4.1.2).
      {"\"a b\"@x.org", "a b|x.org"},
      {"\"john\"@x.org", "john|x.org"},
      {"\"a@b\"@x.org", "a@b|x.org"},
      {"\"a\\\"b\"@x.org", "a\"b|x.org"},
      {"\"a\\\\b\"@x.org", "a\\b|x.org"},
      // Nothing that names a mailbox.
      {"", "-"},
      {"@", "-"},
      {"a", "-"},
      {"example.org", "-"},
      {"@example.org", "-"},
      {"a@", "-"},
      {"a@b@x.org", "-"},
      {"a@@x.org", "-"},
      {"\"a@x.org", "-"},
      {"\"a\"b\"@x.org", "-"},
      {"\"a\\\"@x.org", "-"},
      {"\"\"@x.org", "-"},
      {"\"@x.org", "-"},
      {"a@[192.0.2.1]", "-"},
      {"a@[IPv6:2001:db8::1]", "-"},
      {"a@x .org", "-"},
      {"<>", "-"},
      {"\"<>\"", "-"},
      {"*", "-"},
      {std::string("a\0@x.org", 8), "-"},
      {"a\n@x.org", "-"},
      {"a@x.org\r\n", "-"},
      {"a\x7f@x.org", "-"},
      {"\xff@x.org", "-"},
      {"a@\xc3.org", "-"},
      {"\xc0\xaf@x.org", "-"},      // an overlong '/'
      {"\xed\xa0\x80@x.org", "-"},  // a surrogate
  };
  for (const auto& test : cases) {
    CAPTURE(test.text);
    CHECK(parsed(test.text) == test.expected);
  }
}

TEST_CASE("addresses have a limit") {
  const std::string domain = "@example.org";
  CHECK(parse_address(std::string(vmail::kMaxAddress - domain.size(), 'a') + domain).has_value());
  CHECK_FALSE(parse_address(std::string(vmail::kMaxAddress - domain.size() + 1, 'a') + domain).has_value());
  CHECK_FALSE(parse_address(std::string(20000, 'a') + domain).has_value());
}

TEST_CASE("an extension begins at the first delimiter, but not with the local part") {
  const struct {
    const char* local;
    const char* delimiters;
    const char* user;
    const char* extension;
  } cases[] = {
      {"user", "+", "user", ""},          {"user+ext", "+", "user", "+ext"}, {"user+a+b", "+", "user", "+a+b"},
      {"user+", "+", "user", "+"},        {"+ext", "+", "+ext", ""},         {"user-ext", "+", "user-ext", ""},
      {"user-a+b", "+-", "user", "-a+b"}, {"user+ext", "", "user+ext", ""},  {"", "+", "", ""},
  };
  for (const auto& test : cases) {
    CAPTURE(test.local, test.delimiters);
    const auto parts = vmail::split_extension(test.local, test.delimiters);
    CHECK(parts.user == test.user);
    CHECK(parts.extension == test.extension);
  }
}

TEST_CASE("vmailctl's domains") {
  for (const std::string good : {"example.org", "a.b.c.d", "xn--bcher-kva.example",
                                 "b\xc3\xbc"
                                 "cher.example",
                                 "1and1.example", "_x.example.org"}) {
    CAPTURE(good);
    CHECK_FALSE(vmail::why_not_a_domain(good));
  }
  CHECK_FALSE(vmail::why_not_a_domain(std::string(63, 'a') + ".org"));
  for (const std::string bad : {"", "localhost", ".org", "example.", "a..b", "-a.org", "a-.org", "a b.org", "a@b.org",
                                "a/b.org", "[192.0.2.1]", "\xff.org", "a\n.org"}) {
    CAPTURE(bad);
    CHECK(vmail::why_not_a_domain(bad));
  }
  CHECK(vmail::why_not_a_domain(std::string(64, 'a') + ".org"));
  std::string long_name;
  while (long_name.size() < 260) long_name += "label.";
  CHECK(vmail::why_not_a_domain(long_name + "org"));
}

TEST_CASE("vmailctl's local parts") {
  for (const std::string good : {"john", "john.doe", "o'brien", "a+b", "j\xc3\xbcrgen", "x_y-z", "1"}) {
    CAPTURE(good);
    CHECK_FALSE(vmail::why_not_a_local_part(good));
  }
  CHECK_FALSE(vmail::why_not_a_local_part(std::string(64, 'a')));
  for (const std::string bad :
       {"", ".", "..", ".a", "a.", "a..b", "a/b", "a b", "a@b", "\"a\"", "a\\b", "a\n", "\xff"}) {
    CAPTURE(bad);
    CHECK(vmail::why_not_a_local_part(bad));
  }
  CHECK(vmail::why_not_a_local_part(std::string(65, 'a')));
  CHECK(vmail::why_not_a_local_part(std::string("a\0b", 3)));
}
