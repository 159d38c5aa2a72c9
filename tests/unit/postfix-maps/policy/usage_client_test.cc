// The client of the usage socket, against a server of the test's own on a real UNIX socket.
#include "postfix-maps/policy/usage_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "shared/base/unique_fd.h"
#include "shared/control/control.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using namespace vmail::policy;
using nlohmann::json;

namespace {

class Server {
 public:
  explicit Server(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 100) == 0);
  }
  // How many have connected.
  std::size_t accept() {
    for (;;) {
      UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!peer) return peers_.size();
      peers_.push_back(std::move(peer));
    }
  }
  // What that one has asked; null: nothing.
  json request(std::size_t peer) {
    control::Decoder decoder;
    char buffer[65536];
    const ssize_t got = ::recv(peers_.at(peer).get(), buffer, sizeof buffer, 0);
    if (got > 0) decoder.feed({buffer, static_cast<std::size_t>(got)});
    json message;
    std::string why;
    decoder.next(message, why);
    return message;
  }
  void send(std::size_t peer, const std::string& bytes) {
    REQUIRE(::send(peers_.at(peer).get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  void reply(std::size_t peer, const json& message) { send(peer, control::encode(message)); }
  void hang_up(std::size_t peer) { peers_.at(peer).reset(); }
  bool has_gone(std::size_t peer) {
    char byte = 0;
    return ::recv(peers_.at(peer).get(), &byte, 1, 0) == 0;
  }

 private:
  UniqueFd listener_;
  std::vector<UniqueFd> peers_;
};

struct Fixture {
  Fixture() : path(folder.file("usage")), client(std::make_unique<UsageClient>(loop, path)) {}

  void settle() {
    for (int turn = 0; turn < 8; ++turn) loop.run_ready();
  }
  // The number of the question; its results are put into `answers` when they come.
  std::size_t ask(const std::vector<std::string>& locals) {
    std::vector<directory::Mailbox> mailboxes;
    for (const auto& local : locals) mailboxes.push_back({local, "example.com", ""});
    answers.emplace_back();
    client->ask(std::move(mailboxes), [this, at = answers.size() - 1](std::vector<Outcome<Used>> results) {
      REQUIRE_FALSE(answers[at]);
      answers[at] = std::move(results);
    });
    CHECK_FALSE(answers.back());  // never inside the call
    settle();
    return answers.size() - 1;
  }
  // Of a question about one mailbox that failed.
  std::string reason(std::size_t question) {
    REQUIRE(answers.at(question));
    REQUIRE(answers[question]->size() == 1);
    return answers[question]->at(0).reason();
  }
  bool is_known(std::size_t question, std::uint64_t bytes) const {
    const auto& answer = answers.at(question);
    return answer && answer->size() == 1 && answer->at(0).is_found() && answer->at(0).value().bytes == bytes;
  }
  void wait_for(std::size_t question) {
    while (!answers.at(question)) {
      loop.io().restart();
      loop.io().run_one_for(std::chrono::milliseconds(100));
    }
  }

  const test::TempDir folder;
  const std::string path;
  Loop loop;
  std::vector<std::optional<std::vector<Outcome<Used>>>> answers;
  std::unique_ptr<UsageClient> client;
};

json usage(std::uint64_t bytes) {
  return {{"mailboxes", {{{"bytes", bytes}, {"messages", 1}}}}};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a question goes out and its answer comes back in order") {
  Fixture f;
  Server server(f.path);
  f.ask({"lisi", "wang"});
  REQUIRE(server.accept() == 1);
  CHECK(server.request(0) ==
        json{{"mailboxes",
              {{{"local", "lisi"}, {"domain", "example.com"}}, {{"local", "wang"}, {"domain", "example.com"}}}}});
  server.reply(0, {{"mailboxes", {{{"bytes", 5}, {"messages", 2}}, {{"error", "no disk"}}}}});
  f.settle();
  REQUIRE(f.answers[0]);
  const auto& results = *f.answers[0];
  REQUIRE(results.size() == 2);
  CHECK(results[0].value().bytes == 5);
  CHECK(results[0].value().messages == 2);
  CHECK(results[1].is_temp_fail());
  CHECK(results[1].reason() == "no disk");
}

TEST_CASE("a connection is kept, and one question does not wait for another") {
  Fixture f;
  Server server(f.path);
  f.ask({"a"});
  REQUIRE(server.accept() == 1);
  server.request(0);
  f.ask({"b"});
  REQUIRE(server.accept() == 2);
  server.request(1);
  server.reply(1, usage(2));
  f.settle();
  CHECK(f.is_known(1, 2));
  CHECK_FALSE(f.answers[0]);
  f.ask({"c"});
  CHECK(server.accept() == 2);
  CHECK(server.request(1).at("mailboxes")[0].at("local") == "c");
  server.reply(0, usage(1));
  server.reply(1, usage(3));
  f.settle();
  CHECK(f.is_known(0, 1));
  CHECK(f.is_known(2, 3));
}

TEST_CASE("more questions than connections wait for one") {
  Fixture f;
  Server server(f.path);
  for (int i = 0; i < 10; ++i) f.ask({std::to_string(i)});
  REQUIRE(server.accept() == 8);
  for (std::size_t i = 0; i < 8; ++i) server.request(i);
  server.reply(3, usage(33));
  f.settle();
  CHECK(f.is_known(3, 33));
  CHECK(server.request(3).at("mailboxes")[0].at("local") == "8");
  CHECK(server.accept() == 8);
}

TEST_CASE("nobody there is an answer in words, and no matter later") {
  Fixture f;
  const auto first = f.ask({"lisi"});
  CHECK(contains(f.reason(first), f.path + ": No such file or directory"));
  Server server(f.path);
  const auto second = f.ask({"lisi"});
  REQUIRE(server.accept() == 1);
  server.reply(0, usage(9));
  f.settle();
  CHECK(f.is_known(second, 9));
}

TEST_CASE("a server that was restarted is asked once more") {
  Fixture f;
  Server server(f.path);
  const auto question = f.ask({"lisi"});
  REQUIRE(server.accept() == 1);
  server.hang_up(0);
  f.settle();
  REQUIRE(server.accept() == 2);
  CHECK(server.request(1).at("mailboxes")[0].at("local") == "lisi");
  server.hang_up(1);
  f.settle();
  CHECK(server.accept() == 2);
  CHECK(contains(f.reason(question), "ended without an answer"));

  // One that ended while idle is not noticed by any question.
  const auto next = f.ask({"wang"});
  REQUIRE(server.accept() == 3);
  server.reply(2, usage(1));
  f.settle();
  server.hang_up(2);
  f.settle();
  const auto last = f.ask({"zhao"});
  REQUIRE(server.accept() == 4);
  server.reply(3, usage(4));
  f.settle();
  CHECK(f.is_known(next, 1));
  CHECK(f.is_known(last, 4));
}

TEST_CASE("no answer in time is an answer, and what comes late is nobody's") {
  Fixture f;
  Server server(f.path);
  const auto question = f.ask({"lisi"});
  REQUIRE(server.accept() == 1);
  server.request(0);
  f.wait_for(question);
  CHECK(contains(f.reason(question), "no answer within a second"));
  f.settle();
  CHECK(server.has_gone(0));
  const auto next = f.ask({"wang"});
  REQUIRE(server.accept() == 2);
  server.reply(1, usage(2));
  f.settle();
  CHECK(f.is_known(next, 2));
}

TEST_CASE("an answer that is none is a failure") {
  Fixture f;
  Server server(f.path);
  const struct {
    json reply;
    const char* reason;
  } cases[] = {
      {{{"error", "no layout"}}, "no layout"},
      {json::object(), "of one version"},
      {{{"mailboxes", 1}}, "of one version"},
      {{{"mailboxes", json::array()}}, "of other mailboxes"},
      {{{"mailboxes", {{{"bytes", "many"}, {"messages", 1}}}}}, "of one version"},
      {{{"mailboxes", {{{"bytes", 1}}}}}, "of one version"},
  };
  for (const auto& each : cases) {
    const auto question = f.ask({"lisi"});
    REQUIRE(server.accept() == 1);
    server.request(0);
    server.reply(0, each.reply);
    f.settle();
    CAPTURE(each.reason);
    CHECK(contains(f.reason(question), each.reason));
  }
  // What is no frame ends the connection, and the question is asked anew.
  const auto question = f.ask({"lisi"});
  server.request(0);
  server.send(0, std::string("\xff\xff\xff\xff", 4));
  f.settle();
  REQUIRE(server.accept() == 2);
  server.reply(1, usage(6));
  f.settle();
  CHECK(f.is_known(question, 6));
}

TEST_CASE("a question about nobody is answered, too many are refused") {
  Fixture f;
  f.client->ask({}, [&](std::vector<Outcome<Used>> results) { f.answers.emplace_back(std::move(results)); });
  f.settle();
  REQUIRE(f.answers.size() == 1);
  CHECK(f.answers[0]->empty());

  Server server(f.path);
  for (int i = 0; i < 1000; ++i) f.ask({"lisi"});
  CHECK_FALSE(f.answers.back());
  const auto over = f.ask({"lisi"});
  CHECK(contains(f.reason(over), "too many questions"));
}

TEST_CASE("the end answers what is still out") {
  Fixture f;
  Server server(f.path);
  const auto question = f.ask({"lisi"});
  f.client.reset();
  CHECK(contains(f.reason(question), "vmail-mapd ends"));
  f.settle();
  REQUIRE(server.accept() == 1);
  server.request(0);
  CHECK(server.has_gone(0));
}
