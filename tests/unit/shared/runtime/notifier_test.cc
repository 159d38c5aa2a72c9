// Notifications to an SMTP server of the test's own, on the same loop.
#include "shared/runtime/notifier.h"

#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace vmail;
using asio::ip::tcp;

namespace {

struct Server {
  explicit Server(Loop& its_loop)
      : loop(its_loop), acceptor(loop.io(), {asio::ip::address_v4::loopback(), 0}), socket(loop.io()) {
    accept();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()); }

  void accept() {
    acceptor.async_accept(socket, [this](const asio::error_code& error) {
      if (error) return;
      ++connections;
      say("220-test\r\n220 test\r\n");
      read();
    });
  }
  void read() {
    asio::async_read_until(socket, asio::dynamic_buffer(input), '\n', [this](const asio::error_code& error, auto size) {
      if (error) {
        socket.close();
        return accept();
      }
      const std::string line = input.substr(0, size);
      input.erase(0, size);
      seen += line;
      if (in_text) {
        in_text = line != ".\r\n";
        if (!in_text) say("250 taken\r\n");
      } else if (line.rfind("RCPT", 0) == 0) {
        say(rcpt_reply);
      } else if (line == "DATA\r\n") {
        in_text = true;
        say("354 go on\r\n");
      } else {
        say("250 ok\r\n");
      }
      read();
    });
  }
  void say(const std::string& text) { asio::write(socket, asio::buffer(text)); }

  Loop& loop;
  tcp::acceptor acceptor;
  tcp::socket socket;
  std::string input, seen, rcpt_reply = "250 ok\r\n";
  bool in_text = false;
  int connections = 0;
};

template <class Condition>
bool eventually(Loop& loop, Condition condition) {
  for (int i = 0; i < 5000 && !condition(); ++i) {
    loop.run_ready();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return condition();
}

}  // namespace

TEST_CASE("a notification goes out over SMTP, to the addresses that it can go to") {
  Loop loop;
  test::ManualClock clock;
  Server server(loop);
  Notifier notifier(loop, clock, server.address(), "host.test");
  notifier.send({"admin@d.org", "a b@d.org", "x\r\nRCPT TO:<y@z>", "u@d.org"}, "Subject", "one\n.two\n");
  notifier.send({"none"}, "Subject", "text\n");
  notifier.send({"second@d.org"}, "Subject", "text\n");
  REQUIRE(eventually(loop, [&] { return notifier.waiting() == 0; }));
  const std::string& seen = server.seen;
  CHECK(server.connections == 2);
  CHECK(seen.find("MAIL FROM:<>\r\nRCPT TO:<admin@d.org>\r\nRCPT TO:<u@d.org>\r\nDATA\r\n") != std::string::npos);
  CHECK(seen.find("To: admin@d.org, u@d.org\r\nSubject: Subject\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n") !=
        std::string::npos);
  CHECK(seen.find("\r\n\r\none\r\n..two\r\n") != std::string::npos);
  CHECK(seen.find("RCPT TO:<second@d.org>") != std::string::npos);
  CHECK(seen.find("y@z") == std::string::npos);
}

TEST_CASE("a notification that is not taken waits, and what is too much is dropped") {
  Loop loop;
  test::ManualClock clock;
  Server server(loop);
  server.rcpt_reply = "451 later\r\n";
  Notifier notifier(loop, clock, server.address(), "host.test");
  for (std::size_t i = 0; i < Notifier::kMaxWaiting + 5; ++i) notifier.send({"u@d.org"}, "Subject", "text\n");
  REQUIRE(eventually(loop, [&] { return server.seen.find("RCPT") != std::string::npos; }));
  CHECK(notifier.waiting() == Notifier::kMaxWaiting);
  notifier.stop();
  loop.run_ready();
}

TEST_CASE("nobody who listens, and no address at all") {
  Loop loop;
  test::ManualClock clock;
  for (const char* smtp : {"127.0.0.1:1", "nonsense:25"}) {
    Notifier notifier(loop, clock, smtp, "host.test");
    notifier.send({"u@d.org"}, "Subject", "text\n");
    for (int i = 0; i < 20; ++i) loop.run_ready();
    CHECK(notifier.waiting() == 1);
  }
  loop.run_ready();
}
