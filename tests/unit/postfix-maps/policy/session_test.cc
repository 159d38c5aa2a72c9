// Sessions as a Postfix 3.7 held them, and some that no Postfix would: one reply for each request, or a clean end.
#include "postfix-maps/policy/session.h"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/socket_pair.h"

using namespace vmail;
using namespace vmail::policy;

namespace {

// Answers with state and recipient; "wait" in a recipient's place when the test says so.
struct Fixture : Answerer {
  Fixture() {
    pair.open([&](Channel& channel) { return std::make_shared<PolicySession>(channel, *this); });
  }
  std::optional<Reply> ask(const Request& request, Later later) override {
    if (request.recipient == "wait") {
      waiting.push_back(std::move(later));
      return std::nullopt;
    }
    return Reply{std::string(request.state) + ' ' + std::string(request.recipient)};
  }
  std::string talk(const std::string& bytes) {
    pair.write(bytes);
    return pair.read();
  }
  std::vector<Later> waiting;
  test::SocketPair pair;
};

std::string request(const std::string& recipient) {
  return "request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=" + recipient + "\n\n";
}

std::string file(const std::string& name) {
  std::ifstream in(VMAILKIT_SOURCE_DIR "/tests/unit/postfix-maps/policy/streams/" + name, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  REQUIRE(in);
  return text.str();
}

}  // namespace

TEST_CASE("several policy requests on one connection, in order") {
  Fixture f;
  CHECK(f.talk(request("a")) == "action=RCPT a\n\n");
  CHECK(f.talk(request("b") + request("c")) == "action=RCPT b\n\naction=RCPT c\n\n");
  CHECK(f.talk(request("wait") + request("d")) == "");
  f.waiting.at(0)(Reply{"550 no"});
  CHECK(f.pair.read() == "action=550 no\n\naction=RCPT d\n\n");
  CHECK_FALSE(f.pair.closed());
}

TEST_CASE("a malformed policy request gets no reply, but a clean end") {
  Fixture f;
  SECTION("another protocol") {
    CHECK(f.talk(request("a") + "EHLO there\r\n") == "action=RCPT a\n\n");
  }
  SECTION("1 MB of attributes") {
    std::string many = "request=smtpd_access_policy\n";
    while (many.size() < 1u << 20) many += "helo_name=example.test\n";
    CHECK(f.talk(many + "\n") == "");
  }
  SECTION("half a request, then the end") {
    CHECK(f.talk("request=smtpd_access_policy\nproto") == "");
    CHECK_FALSE(f.pair.closed());
    f.pair.end_output();
  }
  CHECK(f.pair.closed());
}

TEST_CASE("a policy reply for a peer that has gone harms nobody") {
  Fixture f;
  f.talk(request("wait"));
  f.pair.reset();
  f.waiting.at(0)(Reply{"DUNNO"});
}

TEST_CASE("sessions of a real Postfix, however their bytes come") {
  for (const char* name : {"port25", "submission"}) {
    const std::string stream = file(name);
    std::string replies;
    {
      Fixture f;
      replies = f.talk(stream);
      CHECK_FALSE(f.pair.closed());
    }
    CHECK(replies == file(std::string(name) + ".replies"));
    Fixture f;
    std::string in_pieces;
    for (const char byte : stream) in_pieces += f.talk(std::string(1, byte));
    CHECK(in_pieces == replies);
  }
}
