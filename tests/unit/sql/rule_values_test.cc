// What the value of a rule may be, as far as its text tells.
#include "shared/base/text.h"
#include "sql/vmailctl/rule_checks.h"
#include "sql/vmailctl/rule_objects.h"
#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::sql;

TEST_CASE("a transport is that of transport(5)") {
  for (const char* text :
       {":", "smtp:", ":relay.example", "smtp:relay.example", "smtp:[relay.example]:587", "relay:[192.0.2.1]",
        "smtp:[2001:db8::1]:25", "smtp:[IPv6:2001:db8::1]", "lmtp:unix:/run/lmtp", "lmtp:inet:127.0.0.1:24",
        "my-smtp_2:host:submission", "error:5.1.1 not here, sorry: gone", "retry:", "discard:quietly"}) {
    CAPTURE(text);
    CHECK(why_not_a_transport(text).empty());
  }
  for (const char* text :
       {"",        "smtp",      "relay.example", "sm tp:x",  "smtp:x y",     "smtp:[x",      "smtp:x]",
        "smtp:[]", "smtp:[x]y", "smtp:[x]:",     "smtp:x:0", "smtp:x:65536", "smtp:.x",      "smtp:x..y",
        "smtp:-x", "smtp:x,y",  "lmtp:unix:",    "smtp:x\n", "error:\x01",   "smtp:\xc3\xbc"}) {
    CAPTURE(printable(text));
    CHECK_FALSE(why_not_a_transport(text).empty());
  }
}

TEST_CASE("a size is bytes, or a number with a unit") {
  for (const char* text : {"0", "1", "500M", "2G", "1T", "1152921504606846976", "1073741824G", "18014398509481983"}) {
    CAPTURE(text);
    CHECK(why_not_a_size(text).empty());
  }
  for (const char* text : {"", "M", "-1", "+1", "1 M", "1m", "1MB", "1.5G", "0x10", "1152921504606846977", "1048577T",
                           "18446744073709551616", "99999999999999999999G"}) {
    CAPTURE(text);
    CHECK_FALSE(why_not_a_size(text).empty());
  }
}

TEST_CASE("a quota is a size, a number of messages or both") {
  for (const char* text : {"5G", "0", "none", "10 messages", "5G 10 messages"}) CHECK(why_not_a_quota(text).empty());
  for (const char* text : {"", "much", "5G 10", "10 mails"}) CHECK_FALSE(why_not_a_quota(text).empty());
}

TEST_CASE("an action is one of access(5)") {
  std::string address;
  for (const char* text : {"OK", "ok", "DUNNO", "REJECT", "reject gone for good", "DEFER later", "DEFER_IF_PERMIT",
                           "HOLD for the lawyers", "DISCARD", "WARN look", "INFO", "550 5.1.1 gone", "450 wait",
                           "FILTER smtp:[scan.example]:10025", "PREPEND X-Seen: yes"}) {
    CAPTURE(text);
    CHECK(why_not_an_action(text, true, address).empty());
    CHECK(address.empty());
  }
  for (const char* text :
       {"", "permit", "RELAY", "OK now", "DUNNO x", "550", "550 ", "250 fine", "5500 x", "55x y", "REDIRECT", "BCC",
        "FILTER", "FILTER scan", "PREPEND", "PREPEND header", "REJECT\nx", "reject_unverified_recipient", "12345"}) {
    CAPTURE(printable(text));
    CHECK_FALSE(why_not_an_action(text, true, address).empty());
  }
  CHECK(why_not_an_action("REDIRECT joe@example.org", true, address).empty());
  CHECK(address == "joe@example.org");
}

TEST_CASE("letting mail through is for recipients of ours") {
  std::string address;
  CHECK(why_not_an_action("OK", false, address).find("open relay") != std::string::npos);
  CHECK(why_not_an_action("Ok", false, address).find("open relay") != std::string::npos);
  CHECK(why_not_an_action("DUNNO", false, address).empty());
  CHECK(why_not_an_action("REJECT", false, address).empty());
}

TEST_CASE("a hint can be pasted into a shell") {
  CHECK(command_line(RuleKind::SenderBcc, "remove", "a@b.test", "c@d.test") ==
        "vmailctl bcc remove sender a@b.test c@d.test");
  CHECK(command_line(RuleKind::Transport, "remove", "*") == "vmailctl transport remove '*'");
  CHECK(command_line(RuleKind::SenderRelay, "remove", "<>", "[a.test]:587") ==
        "vmailctl relay remove '<>' '[a.test]:587'");
  CHECK(command_line(RuleKind::RecipientAccess, "remove", "b.test", "REJECT it's gone") ==
        R"(vmailctl access remove b.test 'REJECT it'\''s gone')");
}
