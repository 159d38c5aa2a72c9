#include "dovecot-auth/policy-http/session.h"
#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::auth::policy;

namespace {

struct Fixture {
  Secret token{"the token"};
  std::optional<std::string> refusal;
  std::vector<Question> asked, reported;
  Throttling throttling{[this](const Question& question) {
                          asked.push_back(question);
                          return refusal;
                        },
                        [this](const Question& question) { reported.push_back(question); }};

  // The status and the body of the response.
  std::string say(const std::string& target, const std::string& body, const std::string& key = "the token",
                  const std::string& method = "POST") {
    http::Decoder decoder(kMaxBody, kTokenField);
    const std::string text = method + ' ' + target + " HTTP/1.1\r\nHost: localhost\r\nx-api-key: " + key +
                             "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    REQUIRE(decoder.feed(text) == http::Decoder::Event::Request);
    const std::string response = answer(decoder.request(), token, throttling);
    return response.substr(9, 3) + ' ' + response.substr(response.find("\r\n\r\n") + 4);
  }
};

const std::string kBody =
    R"({"device_id":"","login":"lisi@mydomain.com","protocol":"imap","pwhash":"0a3","remote":"192.0.2.1","tls":true})";

}  // namespace

TEST_CASE("auth policy: a login may be tried, or not") {
  Fixture f;
  CHECK(f.say("/?command=allow", kBody) == R"(200 {"status":0,"msg":""})");
  f.refusal = "too many\nwrong passwords";
  CHECK(f.say("/x?a=b&command=allow", kBody) == R"(200 {"msg":"too many\\x0awrong passwords","status":-1})");
  REQUIRE(f.asked.size() == 2);
  CHECK(f.asked[0].login == "lisi@mydomain.com");
  CHECK(f.asked[0].password_hash == "0a3");
  CHECK(f.asked[0].remote_ip == "192.0.2.1");
  CHECK(f.asked[0].protocol == "imap");
  CHECK(f.reported.empty());
}

TEST_CASE("auth policy: a report") {
  Fixture f;
  CHECK(f.say("/?command=report", R"({"login":"l@d.org","success":true,"policy_reject":false})").substr(0, 3) == "200");
  CHECK(f.say("/?command=report", R"({"login":"l@d.org","remote":null,"policy_reject":true})").substr(0, 3) == "200");
  CHECK(f.say("/?command=report", R"({"login":"l@d.org","fail_type":"internal"})").substr(0, 3) == "200");
  REQUIRE(f.reported.size() == 3);
  CHECK(f.reported[0].success);
  CHECK_FALSE(f.reported[0].refused_by_policy);
  CHECK(f.reported[1].refused_by_policy);
  CHECK_FALSE(f.reported[1].trouble);
  CHECK(f.reported[2].trouble);
  CHECK(f.asked.empty());
}

TEST_CASE("auth policy: what is no question of Dovecot's asks nothing") {
  Fixture f;
  CHECK(f.say("/?command=allow", kBody, "another").substr(0, 3) == "401");
  CHECK(f.say("/?command=allow", kBody, "").substr(0, 3) == "401");
  CHECK(f.say("/?command=allow", kBody, "the tokenthe token").substr(0, 3) == "401");
  CHECK(f.say("/?command=allow", "", "the token", "GET").substr(0, 3) == "405");
  CHECK(f.say("/?command=other", kBody).substr(0, 3) == "404");
  CHECK(f.say("/", kBody).substr(0, 3) == "404");
  for (const std::string& body : {std::string("{"), std::string("[]"), std::string("null"), std::string("{}"),
                                  std::string(R"({"login":7})"), std::string(R"({"login":"a","success":"yes"})"),
                                  R"({"login":")" + std::string(513, 'x') + "\"}", std::string(8192, '[')}) {
    CAPTURE(body);
    CHECK(f.say("/?command=allow", body).substr(0, 3) == "400");
  }
  CHECK(f.asked.empty());
  CHECK(f.reported.empty());
}
