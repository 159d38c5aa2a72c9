#include "dovecot-auth/access.h"

#include "tests/support/catch.h"

using namespace vmail;
using auth::Cause;
using auth::why_denied;
using directory::Access;

namespace {

const WallTime kNow{std::chrono::seconds(1'700'000'000)};

Cause cause(const Access& access, const char* service, const char* ip) {
  const auto denied = why_denied(access, service, ip, kNow, "this account");
  return denied ? denied->cause : Cause::Ok;
}

}  // namespace

TEST_CASE("access: services by the names that Dovecot and Postfix give them") {
  const struct {
    const char* listed;
    const char* service;
    Cause cause;
  } cases[] = {
      {"", "imap", Cause::Ok},
      {"", "", Cause::Ok},
      {"imap", "imap", Cause::Ok},
      {"imap", "IMAP", Cause::Ok},
      {"imap", "pop3", Cause::Service},
      {"imap", "imaps", Cause::Service},
      {"imap", "", Cause::Service},
      {"imap  smtp", "smtp", Cause::Ok},
      {" smtp ", "submission", Cause::Ok},
      {"sieve", "managesieve", Cause::Ok},
      {"sieve", "sieve", Cause::Ok},
      {"imap", "xmpp", Cause::Service},
  };
  for (const auto& test : cases) {
    CAPTURE(test.listed, test.service);
    CHECK(cause({test.listed, "", 0, 0}, test.service, "") == test.cause);
  }
}

TEST_CASE("access: networks") {
  const struct {
    const char* listed;
    const char* ip;
    Cause cause;
  } cases[] = {
      {"", "192.0.2.1", Cause::Ok},
      {"", "", Cause::Ok},
      {"192.0.2.0/24", "192.0.2.1", Cause::Ok},
      {"192.0.2.0/24", "::ffff:192.0.2.1", Cause::Ok},
      {"192.0.2.0/24", "192.0.3.1", Cause::Network},
      {"192.0.2.0/24", "2001:db8::1", Cause::Network},
      {"192.0.2.0/24 2001:db8::/32", "2001:db8::1", Cause::Ok},
      {"192.0.2.0/24", "", Cause::Network},
      {"192.0.2.0/24", "not an address", Cause::Network},
      {"192.0.2.0/33", "192.0.2.1", Cause::BadData},
      {"everywhere", "192.0.2.1", Cause::BadData},
  };
  for (const auto& test : cases) {
    CAPTURE(test.listed, test.ip);
    CHECK(cause({"", test.listed, 0, 0}, "imap", test.ip) == test.cause);
  }
}

TEST_CASE("access: not before and not after") {
  CHECK(cause({"", "", 1'700'000'000, 0}, "imap", "") == Cause::Ok);
  CHECK(cause({"", "", 1'700'000'001, 0}, "imap", "") == Cause::NotYet);
  CHECK(cause({"", "", 0, 1'700'000'001}, "imap", "") == Cause::Ok);
  CHECK(cause({"", "", 0, 1'700'000'000}, "imap", "") == Cause::Expired);
  CHECK(cause({"", "", 0, 1}, "imap", "") == Cause::Expired);
}

TEST_CASE("access: the reason is for people, and quotes what a peer sent as text only") {
  CHECK(why_denied({"imap", "", 0, 0}, "pop3", "", kNow, "this app password")->reason ==
        "this app password may not be used for pop3");
  CHECK(why_denied({"", "10.0.0.0/8", 0, 0}, "pop3", "1.2.3.4\n", kNow, "this account")->reason ==
        "this account may not be used from 1.2.3.4\\x0a");
}

TEST_CASE("access: an app password is found by its selector") {
  directory::Credentials credentials;
  CHECK(auth::find_app_password(credentials, Secret("abcdefgh-aaaa-bbbb-cccc-2345")) == nullptr);
  credentials.app_passwords.resize(2);
  credentials.app_passwords[0].selector = "zzzzzzzz";
  credentials.app_passwords[1].selector = "abcdefgh";
  CHECK(auth::find_app_password(credentials, Secret("abcdefgh-aaaa-bbbb-cccc-2345")) == &credentials.app_passwords[1]);
  for (const char* other : {"abcdefgi-aaaa-bbbb-cccc-2345", "abcdefgh-aaaa-bbbb-cccc-2341", "abcdefgh", "",
                            "abcdefgh-aaaa-bbbb-cccc-23456", "ABCDEFGH-aaaa-bbbb-cccc-2345"}) {
    CAPTURE(other);
    CHECK(auth::find_app_password(credentials, Secret(other)) == nullptr);
  }
}
