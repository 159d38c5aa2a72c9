#include "dovecot-auth/client/ask.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "dovecot-auth/client/answer.h"
#include "shared/base/unique_fd.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using namespace vmail::auth;

namespace {

constexpr long long kLong = 30000;  // ms; ends a wait that should not be

// Serves connections one after the other, each as its script says: so many requests are answered with the number of the
// connection, and then it hangs up, or says something that nobody has asked for.
class Server {
 public:
  struct Script {
    int answers = 0;
    const char* last_words = "";
    bool take_one_more = false;  // and hang up without an answer
  };
  Server(const std::string& path, std::vector<Script> scripts) : listener_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 5) == 0);
    thread_ = std::thread([this, scripts = std::move(scripts)] {
      int number = 0;
      for (const auto& script : scripts) serve(script, ++number);
    });
  }
  ~Server() { thread_.join(); }

 private:
  void serve(const Script& script, int number) const {
    const UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
    const std::string answer = "OK\tconnection=" + std::to_string(number) + '\n';
    for (int i = 0; i < script.answers && take_line(fd.get()); ++i) say(fd.get(), answer);
    say(fd.get(), script.last_words);
    if (script.take_one_more) take_line(fd.get());
  }
  static bool take_line(int fd) {
    char c = 0;
    while (c != '\n' && ::read(fd, &c, 1) == 1) continue;
    return c == '\n';
  }
  static void say(int fd, const std::string& text) { (void)::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

  UniqueFd listener_;
  std::thread thread_;
};

// The reply, or why there is none.
std::string ask(client::Connection& connection, const std::string& path, long long within = kLong) {
  char reply[64];
  const char* why = "";
  const long size = connection.ask(path.c_str(), "REQUEST\n", 8, reply, sizeof reply, client::now_ms() + within, &why);
  return size < 0 ? std::string(why) : std::string(reply, static_cast<std::size_t>(size));
}

}  // namespace

TEST_CASE("client: a connection is kept from one request to the next") {
  const test::TempDir folder;
  const std::string path = folder.file("s");
  const Server server(path, {{3}});
  client::Connection connection;
  for (int i = 0; i < 3; ++i) CHECK(ask(connection, path) == "OK\tconnection=1");
  connection.close();
}

TEST_CASE("client: when the daemon has hung up, the request is sent once more") {
  const test::TempDir folder;
  const std::string path = folder.file("s");
  SECTION("before it") {
    const Server server(path, {{1}, {1}});
    client::Connection connection;
    CHECK(ask(connection, path) == "OK\tconnection=1");
    CHECK(ask(connection, path) == "OK\tconnection=2");
    connection.close();
  }
  SECTION("in the midst of it, but not twice") {
    const Server server(path, {{1, "", true}, {0, "", true}});
    client::Connection connection;
    CHECK(ask(connection, path) == "OK\tconnection=1");
    CHECK(ask(connection, path) == "it hung up without an answer");
    connection.close();
  }
  SECTION("on a new connection it is not") {
    const Server server(path, {{0, "", true}});
    client::Connection connection;
    CHECK(ask(connection, path) == "it hung up without an answer");
  }
}

TEST_CASE("client: what nobody has asked for is never an answer") {
  const test::TempDir folder;
  const std::string path = folder.file("s");
  const Server server(path, {{1, "OK\tconnection=late\n", true}, {1}});
  client::Connection connection;
  CHECK(ask(connection, path) == "OK\tconnection=1");
  // Until it has come; whether it has is up to the scheduler, so it is waited for.
  std::string second = ask(connection, path);
  for (int i = 0; i < 3 && second == "OK\tconnection=late"; ++i) second = ask(connection, path);
  CHECK(second == "OK\tconnection=2");
  connection.close();
}

TEST_CASE("client: nobody there, no answer in time, an answer that is too long") {
  const test::TempDir folder;
  const std::string path = folder.file("s");
  client::Connection connection;
  CHECK(ask(connection, path) == std::strerror(ENOENT));
  CHECK(ask(connection, std::string(200, 'x')) == "the path is longer than 107 bytes");
  const Server server(
      path, {{0, "", true}, {0, "0123456789012345678901234567890123456789012345678901234567890123456789", true}});
  {
    char reply[8];
    const char* why = "";
    // Nothing whole is sent, so nothing is answered.
    CHECK(connection.ask(path.c_str(), "REQ", 3, reply, sizeof reply, client::now_ms() + 50, &why) == -1);
    CHECK(std::string(why) == "no answer in time");
  }
  CHECK(ask(connection, path) == "its answer is too long");
}

TEST_CASE("client: what a reply says") {
  const struct {
    const char* reply;
    client::Answer::Status status;
    const char* reason;
  } cases[] = {
      {"OK", client::Answer::Ok, nullptr},
      {"OK\tuser=x\thome=/", client::Answer::Ok, nullptr},
      {"NO", client::Answer::No, nullptr},
      {"NO\tx", client::Answer::Temporary, "vmail-authd gave an answer of another version"},
      {"TEMP\treason=it is down", client::Answer::Temporary, "it is down"},
      {"TEMP", client::Answer::Temporary, "vmail-authd gave an answer of another version"},
      {"", client::Answer::Temporary, "vmail-authd gave an answer of another version"},
      {"OK\ta\tb\tc", client::Answer::Temporary, "vmail-authd gave an answer of another version"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.reply);
    std::string line = one.reply;
    tabs::Field fields[3];
    const auto answer = client::read_answer(line.data(), line.size(), fields, 3);
    CHECK(answer.status == one.status);
    if (one.reason != nullptr) CHECK(std::string(answer.reason) == one.reason);
  }
}
