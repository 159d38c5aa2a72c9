#include "dovecot-lmtp-store/session.h"

#include <cerrno>
#include <string>

#include "tests/unit/dovecot-lmtp-store/talk.h"

using namespace vmail;
using vmail::test::Talk;

TEST_CASE("LHLO announces what is there, and no DSN") {
  Talk talk;
  const std::string reply = talk.say("LHLO client\r\n");
  CHECK(reply ==
        "250-mail.test\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
        "250-CHUNKING\r\n250-SIZE 1048576\r\n250 XFORWARD IDENT\r\n");
  CHECK(talk.codes("HELO client\r\nEHLO client\r\n") == "502 5.5.1 502 5.5.1");
}

TEST_CASE("a message, step by step") {
  Talk talk;
  talk.greet();
  CHECK(talk.codes("MAIL FROM:<a@b> SIZE=10 BODY=8BITMIME\r\n") == "250 2.1.0");
  CHECK(talk.codes("RCPT TO:<Lisi+x@Example.com>\r\n") == "250 2.1.5");
  CHECK(talk.codes("DATA\r\n") == "354");
  CHECK(talk.say("Subject: x\r\n\r\n..dot\r\n.\r\n") ==
        "250 2.0.0 <Lisi+x@Example.com> file-of-example.com/lisi Saved\r\n");
  REQUIRE(talk.backend.stored.size() == 1);
  CHECK(talk.backend.stored[0].path == "example.com/lisi");
  CHECK(talk.backend.stored[0].recipient == "Lisi+x@Example.com");
  CHECK(talk.backend.stored[0].text == "Subject: x\n\n.dot\n");
  CHECK(talk.backend.stored[0].sender == "a@b");
  CHECK(talk.backend.last->helo == "client");
  CHECK(talk.backend.last->peer.empty());
  CHECK(talk.codes("QUIT\r\n") == "221 2.0.0");
  CHECK(talk.pair.closed());
}

TEST_CASE("everything in one burst, QUIT behind the dot, at every split") {
  const std::string burst =
      "LHLO client\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<nobody@example.com>\r\n"
      "RCPT TO:<b@example.com>\r\nDATA\r\nHi\r\n.\r\nQUIT\r\n";
  for (const bool later : {false, true}) {
    for (std::size_t split = 0; split <= burst.size(); ++split) {
      CAPTURE(split, later);
      Talk talk;
      talk.backend.later_lookups = later;
      talk.pair.write(std::string_view(burst).substr(0, split));
      while (talk.backend.held() > 0) talk.backend.release(), talk.pair.settle();
      talk.pair.write(std::string_view(burst).substr(split));
      while (talk.backend.held() > 0) talk.backend.release(), talk.pair.settle();
      CHECK(talk.codes("") == "250 250 2.1.0 250 2.1.5 550 5.1.1 250 2.1.5 354 250 2.0.0 250 2.0.0 221 2.0.0");
      CHECK(talk.backend.stored.size() == 2);
      CHECK(talk.pair.closed());
    }
  }
}

TEST_CASE("replies to commands that came together go together, and nobody waits for one without need") {
  Talk talk;
  talk.greet();
  talk.backend.later_lookups = true;
  CHECK(talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<nobody@example.com>\r\nDATA\r\n").empty());
  talk.backend.release();
  CHECK(talk.codes("").empty());
  talk.backend.release();
  CHECK(talk.codes("") == "250 2.1.0 250 2.1.5 550 5.1.1 354");
  CHECK(talk.codes("x\r\n.\r\n") == "250 2.0.0");
  // One behind which nothing came is answered before the look-up of the next.
  CHECK(talk.codes("MAIL FROM:<a@b>\r\n") == "250 2.1.0");
  CHECK(talk.codes("NOOP\r\nRCPT TO:<a@example.com>\r\n") == "250 2.0.0");
  talk.backend.release();
  CHECK(talk.codes("") == "250 2.1.5");
}

TEST_CASE("what the backend says about a recipient goes to the client") {
  Talk talk;
  talk.greet();
  talk.codes("MAIL FROM:<a@b> SIZE=4711\r\n");
  CHECK(talk.say("RCPT TO:<nobody@example.com>\r\n") == "550 5.1.1 <nobody@example.com> says the backend\r\n");
  CHECK(talk.backend.announced == 4711);
  CHECK(talk.codes("RCPT TO:<held@example.com>\r\n") == "450 4.2.1");
  CHECK(talk.codes("RCPT TO:<trouble@example.com>\r\n") == "451 4.3.0");
  CHECK(talk.codes("RCPT TO:<Postmaster>\r\n") == "550 5.1.1");
  CHECK(talk.codes("RCPT TO:<\"\"@example.com>\r\n") == "550 5.1.1");
  CHECK(talk.codes("DATA\r\n") == "503 5.5.1");
  CHECK(talk.backend.stored.empty());
}

TEST_CASE("the order of commands") {
  Talk talk;
  CHECK(talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n") == "503 5.5.1 503 5.5.1 503 5.5.1");
  CHECK(talk.codes("NOOP\r\nRSET\r\nVRFY a\r\nHELP\r\n") == "250 2.0.0 250 2.0.0 252 2.5.0 214 2.0.0");
  talk.greet();
  CHECK(talk.codes("RCPT TO:<a@example.com>\r\nDATA\r\n") == "503 5.5.1 503 5.5.1");
  CHECK(talk.codes("MAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n") == "250 2.1.0 503 5.5.1");
  CHECK(talk.codes("RSET\r\nRCPT TO:<a@example.com>\r\n") == "250 2.0.0 503 5.5.1");
  // RSET keeps the greeting, LHLO drops the transaction.
  CHECK(talk.codes("MAIL FROM:<a@b>\r\nLHLO again\r\nRCPT TO:<a@example.com>\r\n") == "250 2.1.0 250 503 5.5.1");
  CHECK(talk.codes("MAIL FROM:<c@d>\r\nRCPT TO:<a@example.com>\r\nDATA\r\nx\r\n.\r\n") ==
        "250 2.1.0 250 2.1.5 354 250 2.0.0");
  CHECK(talk.backend.last->helo == "again");
  // A transaction ends with its replies.
  CHECK(talk.codes("RCPT TO:<a@example.com>\r\n") == "503 5.5.1");
}

TEST_CASE("one reply per recipient, in order, whatever the order of the deliveries") {
  Talk talk;
  talk.greet();
  talk.backend.hold = true;
  talk.backend.fail("example.com/b", ENOSPC);
  talk.backend.fail("example.com/c", EDQUOT);
  talk.backend.fail("example.com/d", EIO);
  talk.codes(
      "MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\n"
      "RCPT TO:<d@example.com>\r\nDATA\r\n");
  CHECK(talk.codes("x\r\n.\r\nNOOP\r\n").empty());
  CHECK(talk.backend.held() == 4);
  talk.backend.release(2);
  CHECK(talk.codes("").empty());
  talk.backend.release(0);
  CHECK(talk.codes("") == "250 2.0.0");
  talk.backend.release(0);
  CHECK(talk.codes("") == "452 4.3.1 452 4.2.2");
  talk.backend.release(0);
  // The command that came meanwhile is answered last.
  CHECK(talk.codes("") == "451 4.3.0 250 2.0.0");
}

TEST_CASE("a duplicate recipient is delivered once and answered twice") {
  Talk talk;
  talk.greet();
  talk.backend.fail("example.com/b", EIO);
  CHECK(talk.codes(
            "MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<A@EXAMPLE.com>\r\n"
            "RCPT TO:<b@example.com>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<a+x@example.com>\r\nDATA\r\nx\r\n.\r\n") ==
        "250 2.1.0 250 2.1.5 250 2.1.5 250 2.1.5 250 2.1.5 250 2.1.5 250 2.1.5 354 "
        "250 2.0.0 451 4.3.0 250 2.0.0 451 4.3.0 250 2.0.0 250 2.0.0");
  REQUIRE(talk.backend.stored.size() == 2);
  CHECK(talk.backend.stored[0].recipient == "a@example.com");
  CHECK(talk.backend.stored[1].recipient == "a+x@example.com");
}

TEST_CASE("many recipients: a bound on deliveries at a time, and on their number") {
  Talk talk(1 << 20, 40);
  talk.greet();
  talk.backend.hold = true;
  std::string commands = "MAIL FROM:<a@b>\r\n", expected = "250 2.1.0";
  for (int i = 0; i < 42; ++i) {
    commands += "RCPT TO:<u" + std::to_string(i) + "@example.com>\r\n";
    expected += i < 40 ? " 250 2.1.5" : " 452 4.5.3";
  }
  CHECK(talk.codes(commands) == expected);
  talk.codes("DATA\r\nx\r\n.\r\n");
  std::string replies;
  while (talk.backend.held() > 0) {
    talk.backend.release(talk.backend.held() - 1);
    replies += talk.say("");
  }
  CHECK(talk.backend.most_in_flight == 16);
  CHECK(talk.backend.stored.size() == 40);
  std::size_t at = 0;
  for (int i = 0; i < 40; ++i) {
    at = replies.find("250 2.0.0 <u" + std::to_string(i) + "@", at);
    REQUIRE(at != std::string::npos);
  }
}

TEST_CASE("a message that is too large") {
  Talk talk(1000);
  talk.greet();
  CHECK(talk.codes("MAIL FROM:<a@b> SIZE=1001\r\n") == "552 5.3.4");
  CHECK(talk.codes("MAIL FROM:<a@b> SIZE=1000\r\n") == "250 2.1.0");
  talk.codes("RCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n");
  const std::string line = std::string(99, 'x') + "\r\n";
  std::string text;
  for (int i = 0; i < 10; ++i) text += line;
  CHECK(talk.codes(text + "\r\n.\r\nNOOP\r\n") == "552 5.3.4 552 5.3.4 250 2.0.0");
  CHECK(talk.backend.stored.empty());
  CHECK(talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n" + text + ".\r\n") ==
        "250 2.1.0 250 2.1.5 354 250 2.0.0");
}

TEST_CASE("a big message goes through the spool, which it waits for") {
  Talk talk(64 << 20);
  talk.greet();
  talk.backend.hold = true;
  talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n");
  const std::string line = std::string(998, 'x') + "\r\n";
  std::string text, stored;
  for (int i = 0; i < 400; ++i) text += line, stored += line.substr(0, 998) + '\n';
  talk.pair.write(std::string_view(text).substr(0, 300000));
  CHECK(talk.backend.held() == 1);
  CHECK(talk.backend.spooled.size() >= 256u << 10);
  talk.backend.release();
  talk.pair.write(std::string_view(text).substr(300000));
  talk.pair.write(".\r\nNOOP\r\n");
  while (talk.backend.held() > 0) talk.backend.release(), talk.pair.settle();
  CHECK(talk.codes("") == "250 2.0.0 250 2.0.0");
  CHECK(talk.backend.spooled + talk.backend.stored.at(0).text == stored);
  CHECK(talk.backend.last->sizes.size() == stored.size());
  CHECK(talk.backend.last->sizes.vsize() == text.size());
}

TEST_CASE("a spool that fails refuses each recipient, and the session goes on") {
  Talk talk(64 << 20);
  talk.greet();
  talk.backend.spool_error = ENOSPC;
  talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n");
  CHECK(talk.codes(std::string(3 << 20, 'x') + "\r\n.\r\n") == "452 4.3.1 452 4.3.1");
  CHECK(talk.backend.stored.empty());
  CHECK(talk.backend.spooled.size() < 400000);
  CHECK(talk.codes("NOOP\r\n") == "250 2.0.0");
}

TEST_CASE("half a message is never delivered") {
  for (const char* text : {"", "x", "x\r\n", "x\r\n.", "x\r\n.\r"}) {
    Talk talk;
    talk.greet();
    talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n");
    talk.pair.write(text);
    talk.pair.end_output();
    CHECK(talk.pair.closed());
    CHECK(talk.backend.stored.empty());
  }
}

TEST_CASE("a client that goes away leaves nobody who waits") {
  Talk talk;
  talk.greet();
  talk.backend.hold = true;
  talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nDATA\r\nx\r\n.\r\n");
  REQUIRE(talk.backend.last);
  CHECK_FALSE(talk.backend.last->abandoned);
  talk.pair.reset();
  CHECK(talk.backend.last->abandoned);
  talk.backend.release();
  talk.pair.settle();
}

TEST_CASE("an answer that comes for a session that is gone is dropped") {
  Talk talk;
  talk.greet();
  talk.backend.later_lookups = true;
  talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\n");
  CHECK(talk.backend.held() == 1);
  talk.pair.reset();
  talk.backend.release();
  talk.pair.settle();
}

TEST_CASE("bad lines") {
  Talk talk;
  talk.greet();
  CHECK(talk.codes(std::string(5000, 'x') + "\r\nNOOP\r\n") == "500 5.5.2 250 2.0.0");
  CHECK(talk.codes("NOOP\nMAIL FROM:<a@b>\r\n") == "500 5.5.2");
  CHECK(talk.pair.closed());
}

TEST_CASE("bad commands in a row end the session, refused recipients do not") {
  Talk talk;
  talk.greet();
  for (int i = 0; i < 19; ++i) CHECK(talk.codes("FOO\r\n") == "500 5.5.2");
  CHECK(talk.codes("NOOP\r\n") == "250 2.0.0");
  talk.codes("MAIL FROM:<a@b>\r\n");
  for (int i = 0; i < 30; ++i) CHECK(talk.codes("RCPT TO:<nobody@example.com>\r\n") == "550 5.1.1");
  for (int i = 0; i < 19; ++i) CHECK(talk.codes("FOO\r\n") == "500 5.5.2");
  CHECK(talk.codes("FOO\r\nNOOP\r\n") == "500 5.5.2 421 4.7.0");
  CHECK(talk.pair.closed());
}

TEST_CASE("a drain ends an idle session at once, and a busy one behind its replies") {
  SECTION("idle") {
    Talk talk;
    talk.greet();
    talk.pair.drain();
    CHECK(talk.codes("") == "421 4.3.2");
    CHECK(talk.pair.closed());
  }
  SECTION("in the envelope") {
    Talk talk;
    talk.greet();
    talk.codes("MAIL FROM:<a@b>\r\n");
    talk.pair.drain();
    CHECK(talk.codes("RCPT TO:<a@example.com>\r\nDATA\r\nx\r\n.\r\n") == "250 2.1.5 354 250 2.0.0 421 4.3.2");
    CHECK(talk.pair.closed());
  }
  SECTION("while the disk works") {
    Talk talk;
    talk.greet();
    talk.backend.hold = true;
    talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n");
    talk.pair.drain();
    CHECK(talk.codes("").empty());
    talk.backend.release();
    CHECK(talk.codes("") == "250 2.0.0 221 2.0.0");
    CHECK(talk.pair.closed());
  }
  SECTION("given up") {
    Talk talk;
    talk.greet();
    talk.codes("MAIL FROM:<a@b>\r\n");
    talk.pair.drain();
    CHECK(talk.codes("RSET\r\n") == "250 2.0.0 421 4.3.2");
    CHECK(talk.pair.closed());
  }
}

TEST_CASE("a TCP peer's address stands in the message") {
  for (const char* address : {"192.0.2.1:4711", "[2001:db8::1]:4711"}) {
    Talk talk(1 << 20, 50, test::tcp_peer(address));
    talk.greet();
    talk.codes("MAIL FROM:<a@b>\r\nRCPT TO:<a@example.com>\r\nDATA\r\nx\r\n.\r\n");
    CHECK((talk.backend.last->peer == "[192.0.2.1]" || talk.backend.last->peer == "[2001:db8::1]"));
  }
}
