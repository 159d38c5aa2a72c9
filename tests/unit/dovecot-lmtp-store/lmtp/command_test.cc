#include "dovecot-lmtp-store/lmtp/command.h"

#include <string>

#include "tests/support/catch.h"

using namespace vmail::lmtp;

namespace {

Command good(const std::string& line) {
  CAPTURE(line);
  const Parsed parsed = parse_command(line);
  if (parsed.error) FAIL(format(*parsed.error));
  return parsed.command;
}

// "code enhanced" of the error.
std::string bad(const std::string& line) {
  const Parsed parsed = parse_command(line);
  if (!parsed.error) return "good";
  return std::to_string(parsed.error->code) + ' ' + parsed.error->enhanced;
}

}  // namespace

TEST_CASE("verbs are known in any case") {
  CHECK(good("LHLO client.example").verb == Verb::Lhlo);
  CHECK(good("lhlo client.example").name == "client.example");
  CHECK(good("Data").verb == Verb::Data);
  CHECK(good("RSET").verb == Verb::Rset);
  CHECK(good("NOOP").verb == Verb::Noop);
  CHECK(good("NOOP what ever").verb == Verb::Noop);
  CHECK(good("VRFY lisi").verb == Verb::Vrfy);
  CHECK(good("HELP").verb == Verb::Help);
  CHECK(good("quit").verb == Verb::Quit);
  CHECK(good("QUIT ").verb == Verb::Quit);
}

TEST_CASE("what is no command is refused") {
  CHECK(bad("") == "500 5.5.2");
  CHECK(bad(" NOOP") == "500 5.5.2");
  CHECK(bad("NOOPE") == "500 5.5.2");
  CHECK(bad("XCLIENT NAME=x") == "500 5.5.2");
  CHECK(bad("STARTTLS now") == "501 5.5.4");
  CHECK(bad(std::string(4000, 'x')) == "500 5.5.2");
  CHECK(bad(std::string("NO\0OP", 5)) == "500 5.5.2");
  CHECK(bad("HELO a") == "502 5.5.1");
  CHECK(bad("EHLO a") == "502 5.5.1");
  CHECK(bad("DATA now") == "501 5.5.4");
  CHECK(bad("RSET x") == "501 5.5.4");
  CHECK(bad("QUIT x") == "501 5.5.4");
}

TEST_CASE("the client's name goes into a header: printable, one word") {
  CHECK(good("LHLO [192.0.2.1]").name == "[192.0.2.1]");
  CHECK(good("LHLO  a ").name == "a");
  CHECK(bad("LHLO") == "501 5.5.4");
  CHECK(bad("LHLO ") == "501 5.5.4");
  CHECK(bad("LHLO a b") == "501 5.5.4");
  CHECK(bad("LHLO a\tb") == "501 5.5.4");
  CHECK(bad("LHLO a\rb") == "501 5.5.4");
  CHECK(bad("LHLO m\xc3\xbcller") == "501 5.5.4");
  CHECK(bad("LHLO " + std::string(256, 'a')) == "501 5.5.4");
}

TEST_CASE("paths") {
  const auto path = [](const std::string& text) { return good("RCPT TO:" + text).path; };
  CHECK(path("<lisi@example.com>") == "lisi@example.com");
  CHECK(path("<Li.Si+tag@Example.COM>") == "Li.Si+tag@Example.COM");
  CHECK(path("<Postmaster>") == "Postmaster");
  CHECK(path("<@relay.example:lisi@example.com>") == "lisi@example.com");
  CHECK(path("<@a.example,@[192.0.2.1]:lisi@example.com>") == "lisi@example.com");
  CHECK(path("<lisi@[192.0.2.1]>") == "lisi@[192.0.2.1]");
  CHECK(path("<lisi@[IPv6:2001:db8::1]>") == "lisi@[IPv6:2001:db8::1]");
  CHECK(path("<\"li si\"@example.com>") == "\"li si\"@example.com");
  CHECK(path("<\"a\\\"b\"@example.com>") == "\"a\\\"b\"@example.com");
  CHECK(path("<\"a@b>c\"@example.com>") == "\"a@b>c\"@example.com");
  CHECK(path("<\"\"@example.com>") == "\"\"@example.com");
  CHECK(path("<m\xc3\xbcller@b\xc3\xbc"
             "cher.example>") ==
        "m\xc3\xbcller@b\xc3\xbc"
        "cher.example");
  CHECK(path("<a..b.@example.com>") == "a..b.@example.com");
  CHECK(good("rcpt to:<a@b>").path == "a@b");
  CHECK(good("MAIL FROM:<>").path.empty());
  CHECK(good("MAIL FROM:<a@b>").path == "a@b");
}

TEST_CASE("bad paths") {
  for (const char* text :
       {"",           "a@b",        "<a@b",       "a@b>",    "<",          "<@b>",    "<a@>",    "<a@b>x",
        "<a b@c>",    "<a@b c>",    "<@a:>",      "<@a>",    "<@a,b:c@d>", "<@a,@b>", "<@:a@b>", "<\"a@b>",
        "<\"a\"b@c>", "<\"a\\>",    "<a@[1.2.3>", "<a@b@c>", "<(x)a@b>",   "<a\r@b>", "<a@b\r>", "<\"a\rb\"@c>",
        "<a@[\r]>",   "<a@b><c@d>", " <a@b>",     "<a;b@c>", "<a,b@c>",    "<<a@b>>"}) {
    CAPTURE(text);
    CHECK(bad(std::string("RCPT TO:") + text).substr(0, 3) == "501");
    CHECK(bad(std::string("MAIL FROM:") + text).substr(0, 3) == "501");
  }
  CHECK(bad("RCPT TO:<>") == "501 5.1.3");
  CHECK(bad("RCPT TO:<a") == "501 5.1.3");
  CHECK(bad("MAIL FROM:<a") == "501 5.1.7");
  CHECK(bad("RCPT TO:<@a:>") == "501 5.1.3");
  CHECK(bad("MAIL FROM:<@a:>") == "501 5.1.7");
  CHECK(bad("RCPT TO:<" + std::string(512, 'a') + "@b>") == "501 5.1.3");
  CHECK(bad("RCPT") == "501 5.5.4");
  CHECK(bad("RCPT <a@b>") == "501 5.5.4");
  CHECK(bad("MAIL FROM <a@b>") == "501 5.5.4");
  CHECK(bad("MAIL TO:<a@b>") == "501 5.5.4");
}

TEST_CASE("parameters of MAIL") {
  const Command command = good("MAIL FROM:<a@b> SIZE=1234 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159 AUTH=<>");
  CHECK(command.size == std::uint64_t{1234});
  CHECK(command.smtputf8);
  CHECK_FALSE(good("MAIL FROM:<a@b>").size);
  CHECK_FALSE(good("MAIL FROM:<a@b>").smtputf8);
  CHECK(good("mail from:<a@b>  size=0 body=7bit ret=full ").size == std::uint64_t{0});

  CHECK(bad("MAIL FROM:<a@b> FOO=bar") == "555 5.5.4");
  CHECK(bad("MAIL FROM:<a@b> FOO") == "555 5.5.4");
  CHECK(bad("MAIL FROM:<a@b> NOTIFY=NEVER") == "555 5.5.4");
  for (const char* parameter :
       {"SIZE", "SIZE=", "SIZE=x", "SIZE=-1", "SIZE=1 SIZE=1", "SIZE=99999999999999999999", "BODY=BINARYMIME", "BODY",
        "SMTPUTF8=yes", "RET=ALL", "=x", "ENVID", "ENVID=", "AUTH", "ENVID=\x01"}) {
    CAPTURE(parameter);
    CHECK(bad(std::string("MAIL FROM:<a@b> ") + parameter) == "501 5.5.4");
  }
}

TEST_CASE("parameters of RCPT have no effect") {
  CHECK(good("RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bc@b").path == "a@b");
  CHECK(good("RCPT TO:<a@b> orcpt=utf-8;m\\x{FC}ller@b").path == "a@b");
  CHECK(bad("RCPT TO:<a@b> NOTIFY") == "501 5.5.4");
  CHECK(bad("RCPT TO:<a@b> ORCPT=") == "501 5.5.4");
  CHECK(bad("RCPT TO:<a@b> SIZE=1") == "555 5.5.4");
  CHECK(bad("RCPT TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER") == "501 5.5.4");
}

TEST_CASE("chunks") {
  CHECK(good("BDAT 0").octets == 0);
  CHECK_FALSE(good("BDAT 0").last);
  CHECK(good("bdat 4711 last").octets == 4711);
  CHECK(good("BDAT 4711 LAST ").last);
  CHECK(good("BDAT 18446744073709551615").octets == 18446744073709551615u);
  for (const char* line : {"BDAT", "BDAT ", "BDAT LAST", "BDAT x", "BDAT -1", "BDAT +1", "BDAT 1x", "BDAT 1 LASTS",
                           "BDAT 1 LAST LAST", "BDAT 18446744073709551616", "BDAT 0x10"}) {
    CAPTURE(line);
    CHECK(bad(line) == "501 5.5.4");
    CHECK(parse_command(line).command.verb == Verb::Bdat);
  }
}

TEST_CASE("the body of MAIL") {
  CHECK(good("MAIL FROM:<a@b> BODY=8BITMIME").eight_bit);
  CHECK(good("MAIL FROM:<a@b> body=8bitmime").eight_bit);
  CHECK_FALSE(good("MAIL FROM:<a@b> BODY=7BIT").eight_bit);
  CHECK_FALSE(good("MAIL FROM:<a@b>").eight_bit);
  CHECK(bad("MAIL FROM:<a@b> BODY=BINARYMIME") == "501 5.5.4");
}

TEST_CASE("XFORWARD tells the queue id") {
  CHECK(good("XFORWARD IDENT=4XyZ1").ident == "4XyZ1");
  CHECK(good("xforward ident=A+2Db").ident == "A-b");
  CHECK(good("XFORWARD NAME=a ADDR=IPv6:::1 PORT=25 PROTO=ESMTP HELO=+2B IDENT=1 DOMAIN=x SOURCE=LOCAL").ident == "1");
  CHECK_FALSE(good("XFORWARD NAME=[UNAVAILABLE]").ident);
  CHECK(good("XFORWARD IDENT=[UNAVAILABLE]").ident == "");
  CHECK(good("XFORWARD IDENT=[tempunavail]").ident == "");
  CHECK(good("XFORWARD IDENT=" + std::string(64, 'x')).ident == std::string(64, 'x'));
  // It stands in replies and logs.
  for (const std::string& line :
       {std::string("XFORWARD"), std::string("XFORWARD "), std::string("XFORWARD IDENT"),
        std::string("XFORWARD IDENT="), std::string("XFORWARD IDENT=a IDENT=b"), std::string("XFORWARD LOGIN=a"),
        std::string("XFORWARD IDENT=a+20b"), std::string("XFORWARD IDENT=a+0D+0Ab"), std::string("XFORWARD IDENT=+"),
        std::string("XFORWARD IDENT=+4"), std::string("XFORWARD IDENT=+4g"), std::string("XFORWARD IDENT=+2b"),
        std::string("XFORWARD IDENT=a=b"), std::string("XFORWARD IDENT=\xc3\xa9"),
        "XFORWARD IDENT=" + std::string(65, 'x')}) {
    CAPTURE(line);
    CHECK(bad(line) == "501 5.5.4");
  }
}
