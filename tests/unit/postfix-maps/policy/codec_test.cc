#include "postfix-maps/policy/codec.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

using namespace vmail::policy;

namespace {

// "STATE sender>recipient" of each request, and why it was malformed at the end.
std::vector<std::string> decode(std::string_view bytes, std::size_t step = 100000) {
  Decoder decoder;
  std::vector<std::string> seen;
  while (!bytes.empty()) {
    const std::string piece(bytes.substr(0, step));
    bytes.remove_prefix(piece.size());
    std::string_view input = piece;
    for (;;) {
      const auto event = decoder.next(input);
      if (event == Decoder::Event::NeedMore) break;
      if (event == Decoder::Event::Malformed) {
        seen.emplace_back(decoder.why());
        return seen;
      }
      const Request& request = decoder.request();
      seen.push_back(std::string(request.state) + ' ' + std::string(request.sender) + '>' +
                     std::string(request.recipient));
    }
    CHECK(input.empty());
  }
  if (decoder.in_request()) seen.emplace_back("half");
  return seen;
}

const std::string kHead = "request=smtpd_access_policy\n";
using Seen = std::vector<std::string>;

}  // namespace

TEST_CASE("policy requests, however they are split") {
  struct Case {
    std::string bytes;
    Seen seen;
  };
  const Case cases[] = {
      {kHead + "protocol_state=RCPT\nsender=a@d\nrecipient=b@d\n\n", {"RCPT a@d>b@d"}},
      {"sender=a@d\nprotocol_state=RCPT\n" + kHead + "\n", {"RCPT a@d>"}},  // in any order
      {kHead + "\n" + kHead + "protocol_state=DATA\n\n", {" >", "DATA >"}},
      {kHead + "sender=SRS0=ab=cd=d.test=u@e\n\n", {" SRS0=ab=cd=d.test=u@e>"}},
      {kHead + "sender=\nrecipient=\n\n", {" >"}},
      {kHead + "sender=one\nsender=two\n\n", {" two>"}},
      {kHead + "new_in_4.0=x\nsender=a\n\n", {" a>"}},
      {kHead + "=\nsender==\n\n", {" =>"}},
      {kHead + "sender=a\r\n\n", {" a\r>"}},
      {kHead + "sender=a", {"half"}},
      {"\n", {"a request is not request=smtpd_access_policy"}},
      {"sender=a\n\n", {"a request is not request=smtpd_access_policy"}},
      {"request=junk\n\n", {"a request is not request=smtpd_access_policy"}},
      {kHead + "\nGET / HTTP/1.0\r\n", {" >", "a line is not name=value"}},
      {kHead + "sender\n\n", {"a line is not name=value"}},
  };
  for (const auto& each : cases) {
    INFO(each.bytes);
    for (std::size_t step = 1; step <= each.bytes.size(); ++step) CHECK(decode(each.bytes, step) == each.seen);
  }
}

TEST_CASE("a policy request has a limit") {
  const Seen too_long = {"a request is longer than 65536 bytes"};
  const std::string whole = kHead + "x=" + std::string(kMaxRequest - kHead.size() - 4, 'x') + "\n\n";
  REQUIRE(whole.size() == kMaxRequest);
  for (const std::size_t step : {1UL, 7UL, 100000UL}) {
    CHECK(decode(whole, step) == Seen{" >"});
    CHECK(decode(kHead + "x=" + whole.substr(kHead.size() + 2, kMaxRequest) + "y", step).size() == 2);
    CHECK(decode("x" + whole, step) == too_long);
    CHECK(decode("x=" + std::string(1 << 20, 'x'), step) == too_long);
  }
  std::string many;
  while (many.size() < 1u << 20) many += "helo_name=example.test\n";
  CHECK(decode(many) == too_long);
}

TEST_CASE("a policy reply is one line whatever is in it") {
  CHECK(encode("DUNNO") == "action=DUNNO\n\n");
  CHECK(encode("550 a\r\nb\x01") == "action=550 a??b?\n\n");
  CHECK(encode("550 \xc3\xa9") == "action=550 \xc3\xa9\n\n");
  CHECK(encode("550 \xff\xc3") == "action=550 ??\n\n");
  CHECK(encode(std::string(600, 'x')).size() == kMaxAction + 9);
}
