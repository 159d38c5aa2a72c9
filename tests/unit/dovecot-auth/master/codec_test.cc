#include "dovecot-auth/master/codec.h"

#include "tests/support/catch.h"

using namespace vmail::auth::master;

namespace {

Request parse(std::string line) {
  return parse_request({line.data(), line.size()});
}

}  // namespace

TEST_CASE("master codec: requests") {
  const auto user = parse("USER\t7\tlisi@mydomain.com\tservice=lmtp\tdebug");
  CHECK(user.kind == Request::Kind::User);
  CHECK(user.id == 7);
  CHECK(user.user == "lisi@mydomain.com");
  CHECK(parse("USER\t1\ta\001tb").user == "a\tb");
  CHECK(parse("PASS\t4294967295\tlisi\tservice=doveadm").kind == Request::Kind::Pass);
  CHECK(parse("LIST\t9\tservice=doveadm").kind == Request::Kind::List);
  CHECK(parse("REQUEST\t1\t2\t3\tabc").kind == Request::Kind::Refused);
  CHECK(parse("CACHE-FLUSH\t1").kind == Request::Kind::Refused);
  for (const auto* line : {"VERSION\t1\t2", "VERSION\t1", "CPID\t4711", ""}) {
    CAPTURE(line);
    CHECK(parse(line).kind == Request::Kind::Nothing);
  }
  for (const auto* line : {"VERSION\t2\t0", "VERSION", "USER", "USER\t1", "USER\tx\tlisi", "USER\t4294967296\tlisi",
                           "LIST", "HELLO\t1", "user\t1\tlisi"}) {
    CAPTURE(line);
    CHECK(parse(line).kind == Request::Kind::Malformed);
    CHECK_FALSE(parse(line).why.empty());
  }
  std::string many = "USER\t1\tx";
  for (int i = 3; i < 64; ++i) many += "\ta";
  CHECK(parse(many).kind == Request::Kind::User);
  CHECK(parse(many + "\ta").kind == Request::Kind::Malformed);
}

TEST_CASE("master codec: replies") {
  CHECK(handshake(4711) == "VERSION\t1\t1\nSPID\t4711\n");
  CHECK(user(1, {"lisi@mydomain.com", "/var/mail/a\tb", 5000, 5001}) ==
        "USER\t1\tlisi@mydomain.com\tuid=5000\tgid=5001\thome=/var/mail/a\001tb\n");
  CHECK(pass(2, "lisi@mydomain.com") == "PASS\t2\tuser=lisi@mydomain.com\n");
  CHECK(listed(3, "lisi@mydomain.com") == "LIST\t3\tlisi@mydomain.com\n");
  CHECK(done(3, true) == "DONE\t3\n");
  CHECK(done(3, false) == "DONE\t3\tfail\n");
  CHECK(not_found(4) == "NOTFOUND\t4\n");
  CHECK(fail(5, "it\nis down") == "FAIL\t5\treason=it\\x0ais down\n");
}
