#include "dovecot-auth/verify/codec.h"

#include <algorithm>

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::auth::verify;

namespace {

Request parse(std::string line) {
  return parse_request({line.data(), line.size()});
}

}  // namespace

TEST_CASE("verify codec: requests") {
  const auto verify = parse(
      "VERIFY\tuser=lisi@mydomain.com\tpassword=se\001tcr\0011et\tservice=imap\trip=192.0.2.2\tlip=::1\tsession="
      "abc\tnew=x");
  CHECK(verify.kind == Request::Kind::Verify);
  CHECK(verify.user == "lisi@mydomain.com");
  CHECK(verify.password.text() == "se\tcr\001et");
  CHECK(verify.service == "imap");
  CHECK(verify.remote_ip == "192.0.2.2");
  CHECK(verify.session == "abc");

  CHECK(parse("USERDB\tuser=x").kind == Request::Kind::Userdb);
  CHECK(parse("CREDENTIALS\tuser=x\tscheme=SCRAM-SHA-256").scheme == "SCRAM-SHA-256");
  CHECK(parse("CREDENTIALS\tuser=x").kind == Request::Kind::Credentials);
  CHECK(parse("LIST").kind == Request::Kind::List);
  CHECK(parse("LIST\tafter=18446744073709551615").after == 18446744073709551615u);
  CHECK(parse("LIST\tafter=-1").after == 0);
  for (const auto* line : {"", "verify", "VERIFYX\tuser=x", "\tVERIFY", "VERIFY user=x"}) {
    CHECK(parse(line).kind == Request::Kind::Unknown);
  }

  const auto bare = parse("VERIFY");
  CHECK(bare.kind == Request::Kind::Verify);
  CHECK(bare.user.empty());
  CHECK(bare.password.empty());
  // A NUL in a password stays one, so that the login check can refuse it.
  CHECK(parse("VERIFY\tpassword=a\0010b").password.view().size() == 3);
}

TEST_CASE("verify codec: too many fields are no request") {
  std::string line = "VERIFY";
  for (int i = 1; i < 32; ++i) line += "\tx";
  CHECK(parse(line).kind == Request::Kind::Verify);
  CHECK(parse(line + "\tx").kind == Request::Kind::Unknown);
}

TEST_CASE("verify codec: replies") {
  CHECK(ok({"lisi@mydomain.com", "/var/mail/vhosts/mydomain.com/lisi", 5000, 4294967294, "", ""}).text() ==
        "OK\tuser=lisi@mydomain.com\thome=/var/mail/vhosts/mydomain.com/lisi\tuid=5000\tgid=4294967294\n");
  CHECK(ok({"u", "/h", 1, 2, "{SHA512-CRYPT}$6$x", ""}).text() ==
        "OK\tuser=u\thome=/h\tuid=1\tgid=2\tpassword={SHA512-CRYPT}$6$x\n");
  CHECK(ok({"u", "/h", 1, 2, "{X}y", "192.0.2.0/24,::1/128"}).text() ==
        "OK\tuser=u\thome=/h\tuid=1\tgid=2\tpassword={X}y\tallow_nets=192.0.2.0/24,::1/128\n");
  CHECK(ok({"a\tb\n", "/h", 1, 2, "", ""}).text() == "OK\tuser=a\001tb\001n\thome=/h\tuid=1\tgid=2\n");
  CHECK(no() == "NO\n");
  CHECK(temp("down\nOK\tuser=x") == "TEMP\treason=down\\x0aOK\\x09user=x\n");
}

TEST_CASE("verify codec: a list takes what fits into a line, its end included") {
  ListReply empty;
  CHECK(empty.finish(std::nullopt) == "OK\n");
  ListReply one;
  CHECK(one.add("a\tb@d.org"));
  CHECK(one.finish(7) == "OK\tuser=a\001tb@d.org\tafter=7\n");
  for (const auto* user : {"a@b", "lisi@mydomain.com", "\t\t\t\t@d.org"}) {
    ListReply full;
    while (full.add(user)) continue;
    const std::string line = full.finish(18446744073709551615u);
    CHECK(line.size() <= auth::protocol::kMaxLine);
    CHECK(line.size() > auth::protocol::kMaxLine - 100);
    CHECK(static_cast<std::size_t>(std::count(line.begin(), line.end(), '\t')) < auth::protocol::kMaxListed);
    CHECK(line.back() == '\n');
  }
}

TEST_CASE("verify codec: a reply that is too long for a line is a temporary failure") {
  const std::string home(8192, 'x');
  CHECK(ok({"u", home, 1, 2, "", ""}).text().substr(0, 5) == "TEMP\t");
  const auto reply = temp(home);
  CHECK(reply.size() < 1000);
  CHECK(reply.back() == '\n');
}
