#include "dovecot-auth/saslauthd/codec.h"

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::auth::saslauthd;
using namespace std::string_literals;

namespace {

std::string counted(const std::string& text) {
  return std::string{static_cast<char>(text.size() >> 8), static_cast<char>(text.size() & 0xff)} + text;
}

std::string request(const std::string& login, const std::string& password, const std::string& service,
                    const std::string& realm) {
  return counted(login) + counted(password) + counted(service) + counted(realm);
}

}  // namespace

TEST_CASE("saslauthd codec: a request, however it is cut") {
  const std::string bytes = request("lisi", "se\0cret"s, "smtp", "mydomain.com");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    Decoder decoder;
    CHECK(decoder.feed(bytes.substr(0, cut)) == Decoder::Event::NeedMore);
    REQUIRE(decoder.feed(bytes.substr(cut)) == Decoder::Event::Request);
    const Request got = decoder.request();
    CHECK(got.user == "lisi@mydomain.com");
    CHECK(got.password.text() == "se\0cret"s);
    CHECK(got.service == "smtp");
  }
}

TEST_CASE("saslauthd codec: without a realm, and with what newer clients send behind it") {
  Decoder decoder;
  REQUIRE(decoder.feed(request("lisi@mydomain.com", "", "imap", "") + counted("192.0.2.1;4711")) ==
          Decoder::Event::Request);
  CHECK(decoder.request().user == "lisi@mydomain.com");
  CHECK(decoder.request().password.empty());
}

TEST_CASE("saslauthd codec: strings up to their limit") {
  const std::string longest(kMaxField, 'x');
  Decoder fits;
  REQUIRE(fits.feed(request(longest, longest, longest, longest)) == Decoder::Event::Request);
  CHECK(fits.request().user.size() == 2 * kMaxField + 1);
  Decoder one_more;
  CHECK(one_more.feed(counted("lisi") + counted(longest + 'x')) == Decoder::Event::Malformed);
  Decoder text;
  CHECK(text.feed("AUTH\t1") == Decoder::Event::Malformed);
}

TEST_CASE("saslauthd codec: replies") {
  CHECK(ok() == "\0\2OK"s);
  CHECK(no("wrong") == "\0\x08NO wrong"s);
  CHECK(no(std::string(2000, 'x')).size() == 2 + 1023);
}
