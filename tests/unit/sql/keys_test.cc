#include "sql/vmailctl/keys.h"

#include "sql/vmailctl/prompt.h"
#include "sql/vmailctl/refusal.h"
#include "tests/support/catch.h"

using namespace vmail::sql;

TEST_CASE("new addresses are folded, and odd ones refused") {
  CHECK(new_address_key("Li.Si@MyDomain.COM").text() == "li.si@mydomain.com");
  CHECK(new_address_key("m\u00fcller@b\u00fccher.example").text() == "m\u00fcller@xn--bcher-kva.example");
  CHECK(address_key("m\u00fcller@B\u00dcCHER.example").text() == "m\u00fcller@xn--bcher-kva.example");
  const std::string bad[] = {
      "",
      "lisi",
      "@mydomain.com",
      "lisi@",
      "lisi@localhost",
      "li si@mydomain.com",
      "\"li si\"@mydomain.com",
      "a@b@mydomain.com",
      ".lisi@mydomain.com",
      "lisi.@mydomain.com",
      "li..si@mydomain.com",
      "../../etc@mydomain.com",
      "lisi@my domain.com",
      "lisi@mydomain..com",
      "lisi@-mydomain.com",
      "lisi@[192.0.2.1]",
      "lisi@mydomain.com\n",
      "lisi\xff@mydomain.com",
      std::string(65, 'a') + "@mydomain.com",
      "a@" + std::string(63, 'b') + '.' + std::string(63, 'b') + '.' + std::string(63, 'b') + '.' +
          std::string(60, 'b') + ".test",
  };
  for (const auto& text : bad) {
    CAPTURE(text);
    CHECK_THROWS_AS(new_address_key(text), Refusal);
  }
}

TEST_CASE("new domains are folded, and odd ones refused") {
  CHECK(new_domain_key("MyDomain.COM") == "mydomain.com");
  CHECK(new_domain_key("xn--bcher-kva.example") == "xn--bcher-kva.example");
  CHECK(new_domain_key("b\u00fccher.example") == "xn--bcher-kva.example");
  for (const char* text :
       {"", "com", "my domain.com", "mydomain.com.", ".mydomain.com", "my/domain.com", "a@b.com", "\u2603\u200d.com"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(new_domain_key(text), Refusal);
  }
}

TEST_CASE("an alias may have a whole domain as its source") {
  CHECK(alias_key("@MyDomain.com") == "@mydomain.com");
  CHECK(alias_key("All@mydomain.com") == "all@mydomain.com");
  CHECK_THROWS_AS(alias_key("all"), Refusal);
  CHECK_THROWS_AS(alias_key("@a@b.com"), Refusal);
  CHECK_THROWS_AS(domain_key("all@mydomain.com"), Refusal);
}

TEST_CASE("a password is what mail programs can send") {
  CHECK(why_not_a_password("123456lisi", 256) == nullptr);
  CHECK(why_not_a_password("p\u00e4ss w\u00f6rd", 256) == nullptr);
  CHECK(why_not_a_password(std::string(256, 'x'), 256) == nullptr);
  CHECK(why_not_a_password("", 256) != nullptr);
  CHECK(why_not_a_password(std::string(257, 'x'), 256) != nullptr);
  CHECK(why_not_a_password("secret\r", 256) != nullptr);
  CHECK(why_not_a_password(std::string_view("a\0b", 3), 256) != nullptr);
  CHECK(why_not_a_password("p\xe4ss", 256) != nullptr);
}
