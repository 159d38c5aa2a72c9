#include "dovecot-lmtp-store/lmtp/pass_on.h"

#include <string>

#include "tests/support/catch.h"

using namespace vmail::lmtp;

namespace {

std::string passed(int code, const std::string& enhanced, Stage stage) {
  const Passed result = pass_on({code, enhanced, "text"}, stage);
  CHECK((result.reply.text == "text") == !result.trouble);
  return std::to_string(result.reply.code) + ' ' + result.reply.enhanced + (result.trouble ? " trouble" : "");
}

}  // namespace

TEST_CASE("what Sieve and the mailbox say is passed on") {
  CHECK(passed(250, "2.0.0", Stage::Text) == "250 2.0.0");
  CHECK(passed(250, "", Stage::Text) == "250 2.0.0");
  CHECK(passed(252, "2.1.5", Stage::Text) == "250 2.1.5");
  CHECK(passed(552, "5.2.2", Stage::Text) == "552 5.2.2");
  CHECK(passed(550, "5.7.1", Stage::Text) == "550 5.7.1");
  CHECK(passed(554, "", Stage::Text) == "554 5.0.0");
  CHECK(passed(451, "4.2.0", Stage::Text) == "451 4.2.0");
  CHECK(passed(452, "", Stage::Text) == "452 4.3.0");
}

TEST_CASE("what Postfix takes for more than it is, is not") {
  CHECK(passed(421, "4.3.2", Stage::Text) == "451 4.3.2");
  CHECK(passed(421, "4.3.2", Stage::Envelope) == "451 4.3.2");
  for (const int code : {500, 501, 503, 509, 555}) {
    CHECK(passed(code, "5.5.1", Stage::Text) == "451 4.3.0 trouble");
    CHECK(passed(code, "5.5.1", Stage::Envelope) == "451 4.3.0 trouble");
  }
  CHECK(passed(354, "", Stage::Text) == "451 4.3.0 trouble");
  CHECK(passed(250, "2.0.0", Stage::Envelope) == "451 4.3.0 trouble");
}

TEST_CASE("the envelope is refused for good only by the mailbox, or for the size") {
  CHECK(passed(552, "5.2.2", Stage::Envelope) == "552 5.2.2");
  CHECK(passed(552, "5.3.4", Stage::Envelope) == "552 5.3.4");
  CHECK(passed(550, "5.7.1", Stage::Envelope) == "550 5.7.1");
  CHECK(passed(451, "4.3.0", Stage::Envelope) == "451 4.3.0");
  CHECK(passed(554, "5.3.2", Stage::Session) == "451 4.3.0 trouble");
  CHECK(passed(554, "5.7.1", Stage::Session) == "451 4.3.0 trouble");
  CHECK(passed(421, "4.3.2", Stage::Session) == "451 4.3.2");
  // The database has the user: that Dovecot does not know it is a fault of the site.
  CHECK(passed(550, "5.1.1", Stage::Envelope) == "451 4.3.0 trouble");
  CHECK(passed(550, "", Stage::Envelope) == "451 4.3.0 trouble");
}
