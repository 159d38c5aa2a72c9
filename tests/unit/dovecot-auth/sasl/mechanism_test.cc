#include "dovecot-auth/sasl/mechanism.h"

#include "tests/support/catch.h"

using namespace vmail::auth::sasl;
using namespace std::string_view_literals;

namespace {

struct Got {
  std::string kind, user, text;
};

Got describe(const Step& step) {
  if (const auto* challenge = std::get_if<Challenge>(&step)) return {"challenge", "", challenge->text};
  if (const auto* check = std::get_if<Check>(&step)) return {"check", check->user, check->password.text()};
  const auto& invalid = std::get<Invalid>(step);
  CHECK_FALSE(invalid.why.empty());
  return {"invalid", invalid.user, invalid.why};
}

void expect(const Step& step, const std::string& kind, std::string_view user, std::string_view text) {
  const Got got = describe(step);
  CHECK(got.kind == kind);
  CHECK(got.user == user);
  if (kind != "invalid") CHECK(got.text == text);
}

}  // namespace

TEST_CASE("mechanisms by name") {
  for (const auto* name : {"PLAIN", "LOGIN", "plain", "Login", "SCRAM-SHA-256"}) CHECK(make_mechanism(name));
  for (const auto name : {""sv, "PLAI"sv, "PLAINX"sv, "CRAM-MD5"sv, "SCRAM-SHA-1"sv, "EXTERNAL"sv, "PLAIN\0"sv}) {
    CHECK_FALSE(make_mechanism(name));
  }
}

TEST_CASE("PLAIN") {
  const struct {
    std::string_view response;
    const char* kind;
    std::string_view user;
    std::string_view password;
  } cases[] = {
      {"\0lisi@mydomain.com\0secret"sv, "check", "lisi@mydomain.com", "secret"},
      {"lisi@mydomain.com\0lisi@mydomain.com\0secret"sv, "check", "lisi@mydomain.com", "secret"},
      {"\0lisi\0"sv, "check", "lisi", ""},  // the login check refuses an empty password
      {"\0lisi\0p\xc3\xa4ss w\trd"sv, "check", "lisi", "p\xc3\xa4ss w\trd"},
      {"root@mydomain.com\0lisi@mydomain.com\0secret"sv, "invalid", "lisi@mydomain.com", ""},
      {"lisi\0Lisi\0secret"sv, "invalid", "Lisi", ""},
      {"\0\0secret"sv, "invalid", "", ""},
      {""sv, "invalid", "", ""},
      {"lisi"sv, "invalid", "", ""},
      {"\0lisi"sv, "invalid", "", ""},
      {"\0lisi\0secret\0"sv, "invalid", "", ""},
      {"\0lisi\0se\0cret"sv, "invalid", "", ""},
  };
  for (const auto& one : cases) {
    CAPTURE(std::string(one.response));
    expect(make_mechanism("PLAIN")->start(one.response), one.kind, one.user, one.password);
    const auto slow = make_mechanism("PLAIN");
    expect(slow->start(std::nullopt), "challenge", "", "");
    expect(slow->respond(one.response), one.kind, one.user, one.password);
  }
}

TEST_CASE("LOGIN asks for name and password in turn") {
  const auto login = make_mechanism("LOGIN");
  expect(login->start(std::nullopt), "challenge", "", "Username:");
  expect(login->respond("lisi@mydomain.com"), "challenge", "", "Password:");
  expect(login->respond("secret"), "check", "lisi@mydomain.com", "secret");
}

TEST_CASE("LOGIN with the name as its initial response, as some clients do") {
  const auto login = make_mechanism("LOGIN");
  expect(login->start("lisi@mydomain.com"), "challenge", "", "Password:");
  expect(login->respond("secret"), "check", "lisi@mydomain.com", "secret");

  const auto empty = make_mechanism("LOGIN");
  expect(empty->start(""), "challenge", "", "Username:");
  expect(empty->respond(""), "invalid", "", "");

  const auto nothing = make_mechanism("LOGIN");
  expect(nothing->start("lisi"), "challenge", "", "Password:");
  expect(nothing->respond(""), "check", "lisi", "");
}
