// Conversations with servers that do what the test says, over real sockets.
#include "dovecot-lmtp-store/hand_over/hand_over.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "dovecot-lmtp-store/hand_over/conversation.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using namespace vmail::store;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLong = std::chrono::minutes(1);

// Listens on a UNIX socket and gives each line of a client, and its text as one, the next of `replies`; the first is
// for the connection. An empty one is none, and "close" ends the connection.
class Server {
 public:
  explicit Server(std::vector<std::string> replies) : path_(folder_.file("lmtp")), replies_(std::move(replies)) {
    socket_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_.get(), 10) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  // Ends once the client has gone; what it said is in heard().
  ~Server() { end(); }
  void end() {
    if (thread_.joinable()) thread_.join();
  }
  const std::string& path() const { return path_; }
  // Commands, one a line; the text as it came.
  const std::vector<std::string>& heard() {
    end();
    return heard_;
  }

 private:
  void serve() {
    const UniqueFd client(::accept(socket_.get(), nullptr, nullptr));
    std::size_t next = 0;
    if (!say(client.get(), next)) return;
    std::string input;
    bool text = false;
    for (;;) {
      const auto end = text ? find_end(input) : input.find("\r\n");
      if (end == std::string::npos) {
        char buffer[4096];
        const ssize_t got = ::recv(client.get(), buffer, sizeof buffer, 0);
        if (got <= 0) return;
        input.append(buffer, static_cast<std::size_t>(got));
        continue;
      }
      heard_.push_back(input.substr(0, text ? end + 3 : end));
      input.erase(0, end + (text ? 3 : 2));
      text = !text && heard_.back() == "DATA";
      if (!say(client.get(), next)) return;
    }
  }
  static std::size_t find_end(const std::string& input) {
    if (input.compare(0, 3, ".\r\n") == 0) return 0;
    const auto at = input.find("\r\n.\r\n");
    return at == std::string::npos ? at : at + 2;
  }
  bool say(int client, std::size_t& next) {
    const std::string reply = next < replies_.size() ? replies_[next++] : "";
    if (reply == "close") return false;
    return reply.empty() || ::send(client, reply.data(), reply.size(), MSG_NOSIGNAL) > 0;
  }

  test::TempDir folder_;
  const std::string path_;
  const std::vector<std::string> replies_;
  UniqueFd socket_;
  std::vector<std::string> heard_;
  std::thread thread_;
};

const std::string kKeywords = "250-dovecot.test\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 CHUNKING\r\n";

std::vector<std::string> replies(const std::string& last) {
  return {"220 hi\r\n", kKeywords, "250 2.1.0 OK\r\n", "250 2.1.5 OK\r\n", "354 go\r\n", last};
}

Message& fill(Message& message, const std::string& text) {
  message.id = "id.1";
  message.sender = "a@b";
  message.tail = text;
  message.sizes.add(text);
  return message;
}

struct Handed {
  std::string reply, trouble;
};

Handed hand(const std::string& socket, const Message& message, milliseconds deadline = kLong) {
  const HandedOver result = hand_over(socket, "mail.test", message, "anna+x@example.com", deadline);
  return {std::to_string(result.reply.code) + ' ' + result.reply.enhanced + ' ' + result.reply.text, result.trouble};
}

const std::string kLater = "451 4.3.0 Temporary internal error";

}  // namespace

TEST_CASE("a message is handed over, and the reply passed on") {
  Server server(replies("552 5.2.0 <anna+x@example.com> Not today\r\n"));
  Message message;
  fill(message, "Subject: x\n\n.dot\nno end");
  message.eight_bit = true;
  const Handed handed = hand(server.path(), message);
  CHECK(handed.reply == "552 5.2.0 <anna+x@example.com> Not today");
  CHECK(handed.trouble.empty());
  const std::vector<std::string> expected = {"LHLO mail.test",
                                             "MAIL FROM:<a@b> BODY=8BITMIME",
                                             "RCPT TO:<anna+x@example.com>",
                                             "DATA",
                                             "Subject: x\r\n\r\n..dot\r\nno end\r\n.\r\n",
                                             "QUIT"};
  CHECK(server.heard() == expected);
}

TEST_CASE("what the server announces is made use of") {
  auto script = replies("250 2.0.0 OK\r\n");
  script[1] = "250-dovecot.test\r\n250-SIZE 1000\r\n250-8bitmime\r\n250 SMTPUTF8\r\n";
  Server server(script);
  Message message;
  fill(message, "a\nb\n");
  message.sender = "";
  message.smtputf8 = true;
  CHECK(hand(server.path(), message).reply == "250 2.0.0 OK");
  CHECK(server.heard().at(1) == "MAIL FROM:<> SIZE=6 SMTPUTF8");
}

TEST_CASE("a message from the spool") {
  test::TempDir folder;
  std::string text;
  for (int i = 0; i < 30000; ++i) text += "." + std::to_string(i) + '\n';
  Message message;
  fill(message, "tail\n");
  message.spool.file = UniqueFd(::open(folder.write("spool", text).c_str(), O_RDONLY | O_CLOEXEC));
  message.spool.size = text.size();
  Server server(replies("250 2.0.0 OK\r\n"));
  CHECK(hand(server.path(), message).reply == "250 2.0.0 OK");
  std::string sent;
  for (int i = 0; i < 30000; ++i) sent += ".." + std::to_string(i) + "\r\n";
  CHECK(server.heard().at(4) == sent + "tail\r\n.\r\n");

  // One that got shorter is not sent to its end.
  message.spool.size += 1;
  Server other(replies("250 2.0.0 OK\r\n"));
  const Handed handed = hand(other.path(), message);
  CHECK(handed.reply == kLater);
  CHECK(handed.trouble.find("the spool cannot be read") == 0);
  CHECK(other.heard().size() == 4);
}

TEST_CASE("whatever goes wrong is a temporary failure, and says what it was") {
  Message message;
  fill(message, "x\n");
  test::TempDir folder;
  const auto trouble = [&](std::vector<std::string> script, const std::string& words) {
    CAPTURE(words);
    Server server(std::move(script));
    const Handed handed = hand(server.path(), message);
    CHECK(handed.reply == kLater);
    CHECK(handed.trouble.find(words) != std::string::npos);
  };
  CHECK(hand(folder.file("nobody"), message).trouble.find("No such file or directory") != std::string::npos);
  trouble({"close"}, "closed without an answer");
  trouble({"SSH-2.0-OpenSSH\r\n"}, "does not speak LMTP");
  trouble({"554 5.3.2 no\r\n"}, "answered a connection with 554 5.3.2 no");
  trouble({"220 hi\r\n", "500 5.5.1 Unknown command\r\n"}, "answered LHLO with 500 5.5.1 Unknown command");
  trouble({"220 hi\r\n", kKeywords, "501 5.5.4 Invalid FROM\r\n"}, "answered MAIL with 501");
  trouble({"220 hi\r\n", kKeywords, "250 OK\r\n", "550 5.1.1 User doesn't exist\r\n"},
          "answered RCPT TO:<anna+x@example.com> with 550 5.1.1");
  trouble({"220 hi\r\n", kKeywords, "250 OK\r\n", "250 OK\r\n", "503 5.5.1 no\r\n"}, "answered DATA with 503");
  trouble(replies("close"), "closed without an answer");
  trouble(replies("503 5.5.1 no\r\n"), "answered the message with 503");
}

TEST_CASE("a server that says nothing is not waited for without end") {
  Message message;
  fill(message, "x\n");
  Server server({""});
  const Handed handed = hand(server.path(), message, milliseconds(50));
  CHECK(handed.reply == kLater);
  CHECK(handed.trouble.find("no answer in time") != std::string::npos);
}

TEST_CASE("what nobody waits for any more is not handed over") {
  Message message;
  fill(message, "x\n").abandoned = true;
  CHECK(hand("/nonexistent", message).trouble.find("the client did not wait") == 0);
}

TEST_CASE("Dovecot is told the address that it knows") {
  const auto told = [](const std::string& address, const directory::Mailbox& mailbox) {
    Recipient recipient;
    recipient.address = address;
    recipient.mailbox = mailbox;
    return address_for_dovecot(recipient);
  };
  CHECK(told("Anna+Lists@Example.COM", {"anna", "example.com", "+lists"}) == "Anna+Lists@Example.COM");
  CHECK(told("anna+x@alias.example", {"anna", "example.com", "+x"}) == "anna+x@example.com");
  CHECK(told("\"an na\"@example.com", {"an na", "example.com", ""}) == "\"an na\"@example.com");
  CHECK(told("\"an na\"@alias.example", {"a\"n\\ na", "example.com", ""}) == "\"a\\\"n\\\\ na\"@example.com");
}

TEST_CASE("hand-overs run beside the loop, and each is answered") {
  Loop loop;
  test::TempDir folder;
  HandOver hand_over(loop, folder.file("nobody"), "mail.test");
  auto message = std::make_shared<Message>();
  fill(*message, "a longer one\n");
  auto recipient = std::make_shared<Recipient>();
  recipient->address = "anna@example.com";
  recipient->mailbox = {"anna", "example.com", ""};
  std::vector<std::string> answers;
  const auto answered = [&](const lmtp::Reply& reply) { answers.push_back(lmtp::format(reply)); };
  const auto wait_for = [&](std::size_t count) {
    while (answers.size() < count) {
      loop.io().restart();
      loop.io().run_one_for(milliseconds(10));
    }
  };
  for (int i = 0; i < 3; ++i) hand_over.send(message, recipient, answered);
  CHECK(answers.empty());
  wait_for(3);
  for (const auto& answer : answers) CHECK(answer == "451 4.3.0 <anna@example.com> Temporary internal error\r\n");
  recipient->message_limit = 5;
  hand_over.send(message, recipient, answered);
  wait_for(4);
  CHECK(answers[3] == "552 5.3.4 <anna@example.com> Message is too large for this mailbox\r\n");
  hand_over.stop();
}
