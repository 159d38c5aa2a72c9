#include "dovecot-lmtp-store/lmtp/reply.h"

#include <string>

#include "tests/support/catch.h"

using namespace vmail::lmtp;

TEST_CASE("a reply is one line") {
  CHECK(format({250, "2.1.5", "OK"}) == "250 2.1.5 OK\r\n");
  CHECK(format({220, "", "mail ready"}) == "220 mail ready\r\n");
  CHECK(format({550, "5.1.1", "<a\r\n250 x@b>"}) == "550 5.1.1 <a\\x0d\\x0a250 x@b>\r\n");
  CHECK(format({550, "5.1.1", std::string(2000, 'a')}).size() <= 512);
  CHECK(format({550, "5.1.1", std::string(2000, '\n')}).size() <= 512);
}

TEST_CASE("the reply to LHLO is a list") {
  CHECK(format_lhlo("mail", {"PIPELINING", "SIZE 10"}) == "250-mail\r\n250-PIPELINING\r\n250 SIZE 10\r\n");
  CHECK(format_lhlo("mail", {}) == "250 mail\r\n");
}
