// What a session has beyond RFC 2033: chunks, TLS, XFORWARD, and what becomes of a message besides being filed.
#include <cerrno>
#include <memory>
#include <string>

#include "tests/support/captured.h"
#include "tests/support/tls_client.h"
#include "tests/unit/dovecot-lmtp-store/talk.h"

using namespace vmail;
using vmail::test::Talk;

namespace {

const std::string kEnvelope = "MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n";
const std::string kEnvelopeCodes = "250 2.1.0 250 2.1.5 250 2.1.5 ";

std::string chunk(const std::string& text, const std::string& last = "") {
  return "BDAT " + std::to_string(text.size()) + last + "\r\n" + text;
}

}  // namespace

TEST_CASE("a message in chunks, at every split") {
  // A line end between two chunks, a dot that is text, no line end at the end.
  const std::string burst = "LHLO client\r\n" + kEnvelope + chunk("Subject: x\r\n\r") + chunk("\n.\r\n..\r\n") +
                            chunk("") + chunk("end", " LAST") + "QUIT\r\n";
  for (std::size_t split = 0; split <= burst.size(); ++split) {
    CAPTURE(split);
    Talk talk;
    talk.pair.write(std::string_view(burst).substr(0, split));
    talk.pair.write(std::string_view(burst).substr(split));
    CHECK(talk.codes("") == "250 " + kEnvelopeCodes + "250 2.0.0 250 2.0.0 250 2.0.0 250 2.0.0 250 2.0.0 221 2.0.0");
    REQUIRE(talk.backend.stored.size() == 2);
    CHECK(talk.backend.stored[1].text == "Subject: x\n\n.\n..\nend");
    CHECK(talk.pair.closed());
  }
}

TEST_CASE("the last chunk may be empty, or the only one") {
  for (const bool only : {false, true}) {
    Talk talk;
    talk.greet();
    CHECK(talk.codes(kEnvelope) + ' ' == kEnvelopeCodes);
    if (!only) CHECK(talk.codes(chunk("x\r\n")) == "250 2.0.0");
    CHECK(talk.codes(chunk("", " LAST")) == "250 2.0.0 250 2.0.0");
    CHECK(talk.backend.stored.at(0).text == (only ? "" : "x\n"));
    CHECK(talk.codes("NOOP\r\n") == "250 2.0.0");
  }
}

TEST_CASE("a chunk that nobody waits for is read off") {
  Talk talk;
  const std::string evil = "MAIL FROM:<x@y>\r\nQUIT\r\n";
  CHECK(talk.codes(chunk(evil) + "NOOP\r\n") == "503 5.5.1 250 2.0.0");
  talk.greet();
  CHECK(talk.codes(chunk(evil, " LAST") + "NOOP\r\n") == "503 5.5.1 250 2.0.0");
  CHECK(talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<nobody@example.com>\r\n" + chunk(evil, " LAST") + "NOOP\r\n") ==
        "250 2.1.0 550 5.1.1 503 5.5.1 250 2.0.0");
  CHECK(talk.codes(chunk("") + chunk("", " LAST")) == "503 5.5.1 503 5.5.1");
  CHECK(talk.backend.stored.empty());
}

TEST_CASE("a chunk of unknown length ends the session") {
  for (const char* line :
       {"BDAT", "BDAT x", "BDAT -1", "BDAT 5 LATS", "BDAT 18446744073709551616", "BDAT 5 LAST LAST"}) {
    CAPTURE(line);
    Talk talk;
    talk.greet();
    talk.codes(kEnvelope);
    CHECK(talk.codes(std::string(line) + "\r\nNOOP\r\n") == "501 5.5.4");
    CHECK(talk.pair.closed());
  }
}

TEST_CASE("between chunks only chunks make sense") {
  Talk talk;
  talk.greet();
  talk.codes(kEnvelope + chunk("x\r\n"));
  CHECK(talk.codes("DATA\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@example.com>\r\n") == "503 5.5.1 503 5.5.1 503 5.5.1");
  CHECK(talk.codes("NOOP\r\n" + chunk("y\r\n", " LAST")) == "250 2.0.0 250 2.0.0 250 2.0.0");
  CHECK(talk.backend.stored.at(0).text == "x\ny\n");
  talk.codes(kEnvelope + chunk("x\r\n"));
  CHECK(talk.codes("RSET\r\n" + chunk("y\r\n", " LAST")) == "250 2.0.0 503 5.5.1");
  CHECK(talk.backend.stored.size() == 2);
}

TEST_CASE(
    "a message that gets too large in the middle of its chunks is refused in each, and for each recipient at last") {
  Talk talk(100);
  talk.greet();
  talk.codes(kEnvelope);
  const std::string piece(60, 'x');
  CHECK(talk.codes(chunk(piece) + chunk(piece) + chunk("x")) == "250 2.0.0 552 5.3.4 552 5.3.4");
  CHECK(talk.codes(chunk("x", " LAST") + "NOOP\r\n") == "552 5.3.4 552 5.3.4 250 2.0.0");
  CHECK(talk.backend.stored.empty());
  CHECK(talk.codes(kEnvelope + chunk(piece, " LAST")) == kEnvelopeCodes + "250 2.0.0 250 2.0.0");
}

TEST_CASE("chunks go through the spool, small ones too when they add up") {
  Talk talk(64 << 20);
  talk.greet();
  talk.codes(kEnvelope);
  const std::string line = std::string(998, 'x') + "\r\n";
  std::string text;
  for (int i = 0; i < 50; ++i) text += line;
  std::string expected;
  for (int i = 0; i < 12; ++i) {
    CHECK(talk.codes(chunk(text)) == "250 2.0.0");
    for (int j = 0; j < 50; ++j) expected += line.substr(0, 998) + '\n';
    CHECK(talk.backend.spooled.size() + (400u << 10) > expected.size());
  }
  CHECK(talk.codes(chunk("", " LAST")) == "250 2.0.0 250 2.0.0");
  CHECK_FALSE(talk.backend.spooled.empty());
  CHECK(talk.backend.spooled + talk.backend.stored.at(0).text == expected);

  talk.codes(kEnvelope);
  talk.backend.spool_error = ENOSPC;
  std::string codes;
  for (int i = 0; i < 8; ++i) codes = talk.codes(chunk(text));
  CHECK(codes == "452 4.3.1");
  CHECK(talk.codes(chunk("", " LAST")) == "452 4.3.1 452 4.3.1");
}

TEST_CASE("half a chunk is never delivered") {
  Talk talk;
  talk.greet();
  talk.codes(kEnvelope + "BDAT 5 LAST\r\nabcd");
  talk.pair.end_output();
  CHECK(talk.pair.closed());
  CHECK(talk.backend.stored.empty());
}

TEST_CASE("a bare LF is content, or has the message refused") {
  for (const bool keep : {true, false}) {
    for (const bool chunked : {false, true}) {
      CAPTURE(keep, chunked);
      Talk talk(1 << 20, 50, {}, [&](store::SessionSettings& settings) { settings.bare_lf = keep; });
      talk.greet();
      talk.codes(kEnvelope);
      const std::string text = "a\nb\r\n";
      std::string codes;
      const std::string log =
          test::captured([&] { codes = talk.codes(chunked ? chunk(text, " LAST") : "DATA\r\n" + text + ".\r\n"); });
      const std::string go_ahead = chunked ? "" : "354 ";
      CHECK(codes == go_ahead + (keep ? "250 2.0.0 250 2.0.0" : "550 5.5.2 550 5.5.2"));
      CHECK(talk.backend.stored.size() == (keep ? 2 : 0));
      CHECK((log.find("from=<a@b> refused: 550 A line of the message ends with LF alone") != std::string::npos) ==
            !keep);
      // The same session goes on.
      talk.codes(kEnvelope + "DATA\r\n");
      CHECK(talk.codes("good\r\n.\r\n") == "250 2.0.0 250 2.0.0");
    }
  }
}

TEST_CASE("XFORWARD tells the queue id for one message") {
  Talk talk;
  CHECK(talk.codes("XFORWARD IDENT=x\r\n") == "503 5.5.1");
  talk.greet();
  CHECK(talk.codes("XFORWARD NAME=client.example ADDR=192.0.2.1 PORT=25 PROTO=ESMTP HELO=a+2Bb SOURCE=REMOTE\r\n"
                   "XFORWARD IDENT=4XyZ+2D1\r\n" +
                   kEnvelope + "XFORWARD IDENT=other\r\nDATA\r\n") ==
        "250 2.0.0 250 2.0.0 " + kEnvelopeCodes + "503 5.5.1 354");
  CHECK(talk.say("x\r\n.\r\n") ==
        "250 2.0.0 <a@example.com> 4XyZ-1 file-of-example.com/a Saved\r\n"
        "250 2.0.0 <b@example.com> 4XyZ-1 file-of-example.com/b Saved\r\n");
  CHECK(talk.backend.last->queue_id == "4XyZ-1");
  talk.codes(kEnvelope + "DATA\r\nx\r\n.\r\n");
  CHECK(talk.backend.last->queue_id.empty());
  for (const char* reset : {"RSET\r\n", "LHLO client\r\n", "XFORWARD IDENT=[UNAVAILABLE]\r\n"}) {
    talk.codes("XFORWARD IDENT=x\r\n" + std::string(reset) + kEnvelope + "DATA\r\nx\r\n.\r\n");
    CHECK(talk.backend.last->queue_id.empty());
  }
}

TEST_CASE("XFORWARD is for those that are trusted") {
  const auto networks = [](store::SessionSettings& settings) { settings.xforward = Networks({"192.0.2.0/24"}); };
  const struct {
    const char* peer;
    bool trusted;
  } cases[] = {{"192.0.2.7:4711", true},
               {"[::ffff:192.0.2.7]:4711", true},
               {"192.0.3.7:4711", false},
               {"[2001:db8::1]:4711", false},
               {"127.0.0.1:4711", false}};
  for (const auto& test : cases) {
    CAPTURE(test.peer);
    Talk talk(1 << 20, 50, test::tcp_peer(test.peer), networks);
    CHECK((talk.say("LHLO client\r\n").find("XFORWARD") != std::string::npos) == test.trusted);
    CHECK(talk.codes("XFORWARD IDENT=x\r\n") == (test.trusted ? "250 2.0.0" : "550 5.7.0"));
  }
}

TEST_CASE("a later command shows that the replies were read, a QUIT or a pipelined one does not") {
  Talk talk;
  talk.greet();
  const std::string message = "XFORWARD IDENT=x\r\n" + kEnvelope + "DATA\r\nx\r\n.\r\n";
  const auto confirmed = [&] { return talk.backend.confirmations.size(); };
  SECTION("a command") {
    talk.codes(message);
    CHECK(confirmed() == 0);
    talk.codes("FOO\r\n");
    REQUIRE(confirmed() == 1);
    CHECK(talk.backend.confirmations[0] == talk.backend.last->id);
    talk.codes("RSET\r\n");
    CHECK(confirmed() == 1);
  }
  SECTION("QUIT") {
    talk.codes(message);
    talk.codes("QUIT\r\n");
    CHECK(confirmed() == 0);
  }
  SECTION("pipelined behind the message") {
    talk.codes(message + "RSET\r\n");
    CHECK(confirmed() == 0);
    talk.codes("RSET\r\n");
    CHECK(confirmed() == 0);
  }
  SECTION("a client that names no queue id") {
    talk.codes(kEnvelope + "DATA\r\nx\r\n.\r\n");
    talk.codes("RSET\r\n");
    CHECK(confirmed() == 0);
  }
}

TEST_CASE("a recipient with a script is handed over, its neighbours are not") {
  Talk talk;
  talk.greet();
  CHECK(talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<sieve@example.com>\r\n"
                   "RCPT TO:<b@example.com>\r\nDATA\r\n") == "250 2.1.0 250 2.1.5 250 2.1.5 250 2.1.5 354");
  CHECK(talk.say("x\r\n.\r\n") ==
        "250 2.0.0 <a@example.com> file-of-example.com/a Saved\r\n"
        "550 5.7.1 <sieve@example.com> says its script\r\n"
        "250 2.0.0 <b@example.com> file-of-example.com/b Saved\r\n");
  CHECK(talk.backend.stored.size() == 2);
  REQUIRE(talk.backend.handed_over.size() == 1);
  CHECK(talk.backend.handed_over[0].text == "x\n");
}

TEST_CASE("refusals at the end, each with its code") {
  using Refusal = store::Stored::Refusal;
  Talk talk;
  talk.greet();
  talk.backend.results["example.com/a"].refusal = Refusal::Full;
  talk.backend.results["example.com/b"].refusal = Refusal::FullForNow;
  talk.backend.results["example.com/c"].refusal = Refusal::TooBig;
  talk.backend.fail("example.com/d", EAGAIN);
  talk.backend.fail("example.com/e", EBUSY);
  talk.codes(kEnvelope + "RCPT TO:<c@example.com>\r\nRCPT TO:<d@example.com>\r\nRCPT TO:<e@example.com>\r\nDATA\r\n");
  CHECK(talk.codes("x\r\n.\r\n") == "552 5.2.2 452 4.2.2 552 5.3.4 451 4.3.0 451 4.3.2");
}

namespace {

// A TCP client of a session that has a certificate.
struct Secured {
  Secured() {
    test::make_certificate(folder, "certificate", "key");
    tls = std::make_shared<const TlsContext>(folder.file("certificate"), folder.file("key"));
  }
  std::unique_ptr<Talk> talk(const Peer& peer) const {
    return std::make_unique<Talk>(1 << 20, 50, peer, [&](store::SessionSettings& settings) { settings.tls = tls; });
  }

  test::TempDir folder;
  std::shared_ptr<const TlsContext> tls;
};

const Peer kTcp = test::tcp_peer("192.0.2.1:4711");

}  // namespace

TEST_CASE("STARTTLS, and nothing of what was said before it counts") {
  const Secured secured;
  const auto talk = secured.talk(kTcp);
  CHECK(talk->say("LHLO client\r\n").find("250 STARTTLS\r\n") != std::string::npos);
  CHECK(talk->codes("MAIL FROM:<a@b>\r\nSTARTTLS\r\n") == "250 2.1.0 503 5.5.1");
  CHECK(talk->codes("RSET\r\nSTARTTLS\r\n") == "250 2.0.0 220 2.0.0");
  test::TlsClient client([&](const std::string& bytes) { return talk->say(bytes); });
  REQUIRE(client.handshake());
  const auto codes = [&](const std::string& line) { return Talk::codes_of(client.say(line)); };
  CHECK(codes("MAIL FROM:<a@b>\r\n") == "503 5.5.1");
  const std::string keywords = client.say("LHLO client\r\n");
  CHECK(keywords.find("STARTTLS") == std::string::npos);
  CHECK(keywords.find("CHUNKING") != std::string::npos);
  CHECK(codes("STARTTLS\r\n") == "503 5.5.1");
  CHECK(codes(kEnvelope + "DATA\r\nx\r\n.\r\nQUIT\r\n") == kEnvelopeCodes + "354 250 2.0.0 250 2.0.0 221 2.0.0");
  CHECK(talk->backend.last->encrypted);
  CHECK(client.is_ended());
  CHECK(talk->pair.closed());
}

TEST_CASE("plain text behind STARTTLS is not taken for what comes after it") {
  const Secured secured;
  for (const char* behind : {"LHLO evil\r\n", "\r\n", "x"}) {
    const auto talk = secured.talk(kTcp);
    talk->greet();
    std::string codes;
    const std::string log = test::captured([&] { codes = talk->codes("STARTTLS\r\n" + std::string(behind)); });
    CHECK(codes == "503 5.5.1");
    CHECK(log.find("plain text behind STARTTLS") != std::string::npos);
    CHECK(talk->pair.closed());
  }
  // The same, when it comes a moment later.
  const auto talk = secured.talk(kTcp);
  talk->greet();
  CHECK(talk->codes("STARTTLS\r\n") == "220 2.0.0");
  talk->pair.write("LHLO evil\r\nMAIL FROM:<a@b>\r\n");
  CHECK(talk->pair.closed());
}

TEST_CASE("TLS is offered on TCP alone, and with a certificate") {
  const Secured secured;
  for (const bool certificate : {false, true}) {
    const auto talk = certificate ? secured.talk({}) : std::make_unique<Talk>(1 << 20, 50, kTcp);
    CHECK(talk->say("LHLO client\r\n").find("STARTTLS") == std::string::npos);
    CHECK(talk->codes("STARTTLS\r\n") == "502 5.5.1");
  }
}
