#include "shared/control/control.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "shared/base/unique_fd.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using control::Decoder;
using nlohmann::json;

namespace {

std::string frame(const std::string& body) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(body.size() >> shift & 0xff);
  return out + body;
}

// A daemon of one thread that takes one connection and does what the test says with it.
class Server {
 public:
  using Serve = std::function<void(int fd)>;
  explicit Server(Serve serve) : path_(dir_.file("control")) {
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 0) == 0);
    if (!serve) return;
    thread_ = std::thread([this, serve = std::move(serve)] {
      const UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      serve(fd.get());
    });
  }
  ~Server() {
    if (thread_.joinable()) thread_.join();
  }
  const std::string& path() const { return path_; }

  static json receive(int fd) {
    Decoder decoder;
    json message;
    std::string why;
    char buffer[4096];
    while (decoder.next(message, why) == Decoder::State::NeedMore) {
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      decoder.feed(std::string_view(buffer, static_cast<std::size_t>(got)));
    }
    return message;
  }
  static void send(int fd, const std::string& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t sent = ::send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (sent <= 0) return;
      done += static_cast<std::size_t>(sent);
    }
  }

 private:
  test::TempDir dir_;
  std::string path_;
  UniqueFd listener_;
  std::thread thread_;
};

// For calls that are answered: no test waits for it. Those that are not use kBrief.
constexpr std::chrono::milliseconds kPatient{60000};
constexpr std::chrono::milliseconds kBrief{50};

std::string error_of(const std::string& path, std::chrono::milliseconds deadline) {
  try {
    control::call(path, {{"command", "test"}}, deadline);
  } catch (const control::Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("messages read back, wherever the stream is split") {
  const json first = {{"command", "flush"}, {"keys", {"a@x.org", "\xc3\xbc@x.org"}}};
  const json second = {{"ok", true}};
  const std::string bytes = control::encode(first) + control::encode(second);
  for (std::size_t split = 0; split <= bytes.size(); ++split) {
    CAPTURE(split);
    Decoder decoder;
    std::vector<json> seen;
    for (const auto& piece : {bytes.substr(0, split), bytes.substr(split)}) {
      decoder.feed(piece);
      json message;
      std::string why;
      while (decoder.next(message, why) == Decoder::State::Message) seen.push_back(message);
      REQUIRE(why.empty());
    }
    REQUIRE(seen == std::vector<json>{first, second});
  }
}

TEST_CASE("what is no message is refused") {
  const struct {
    std::string bytes;
    const char* why;
  } cases[] = {
      {frame("[]"), "not a JSON object"},
      {frame("\"text\""), "not a JSON object"},
      {frame(""), "not a JSON object"},
      {frame("{"), "not a JSON object"},
      {frame("{} {}"), "not a JSON object"},
      {frame("{\"a\":\"\xff\"}"), "not a JSON object"},
      {"GET / HTTP/1.0\r\n", "a frame of "},
      {std::string("\xff\xff\xff\xff", 4), "a frame of 4294967295 bytes"},
      {std::string("\0\x10\0\1", 4), "a frame of 1048577 bytes"},
  };
  for (const auto& test : cases) {
    CAPTURE(test.why);
    Decoder decoder;
    decoder.feed(test.bytes);
    json message;
    std::string why;
    CHECK(decoder.next(message, why) == Decoder::State::Malformed);
    CHECK(why.find(test.why) != std::string::npos);
  }
  // Deep nesting is no way to exhaust the stack.
  Decoder decoder;
  decoder.feed(frame(std::string(500000, '[') + std::string(500000, ']')));
  json message;
  std::string why;
  CHECK(decoder.next(message, why) == Decoder::State::Malformed);
}

TEST_CASE("a message as large as a frame may be passes") {
  const json message = {{"text", std::string(control::kMaxFrame - 11, 'x')}};
  const std::string bytes = control::encode(message);
  REQUIRE(bytes.size() == control::kMaxFrame + 4);
  Decoder decoder;
  decoder.feed(bytes);
  json read;
  std::string why;
  REQUIRE(decoder.next(read, why) == Decoder::State::Message);
  CHECK(read == message);
}

TEST_CASE("text that is not UTF-8 does not stop a message") {
  Decoder decoder;
  decoder.feed(control::encode({{"text",
                                 "a\xff"
                                 "b"}}));
  json read;
  std::string why;
  REQUIRE(decoder.next(read, why) == Decoder::State::Message);
  CHECK(read["text"] ==
        "a\xef\xbf\xbd"
        "b");
}

TEST_CASE("a call brings the reply, in pieces too") {
  json seen;
  Server server([&](int fd) {
    seen = Server::receive(fd);
    const std::string reply = control::encode({{"entries", 7}});
    for (const char c : reply) Server::send(fd, std::string(1, c));
  });
  const json reply = control::call(server.path(), {{"command", "status"}}, kPatient);
  CHECK(reply == json{{"entries", 7}});
  CHECK(seen == json{{"command", "status"}});
}

TEST_CASE("large requests and replies pass") {
  const std::string text(900000, 'x');
  Server server([&](int fd) { Server::send(fd, control::encode(Server::receive(fd))); });
  CHECK(control::call(server.path(), {{"text", text}}, kPatient) == json{{"text", text}});
}

TEST_CASE("the errors of a call say what is wrong") {
  SECTION("no socket") {
    const test::TempDir dir;
    const auto error = error_of(dir.file("nothing"), kBrief);
    CHECK(error == dir.file("nothing") + ": No such file or directory (is the daemon running?)");
    CHECK_THROWS_AS(control::call(dir.file("nothing"), json::object(), kBrief), control::NobodyListens);
  }
  SECTION("a socket that a dead daemon left behind") {
    const test::TempDir dir;
    {
      const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::strncpy(address.sun_path, dir.file("dead").c_str(), sizeof address.sun_path - 1);
      REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    CHECK_THROWS_AS(control::call(dir.file("dead"), json::object(), kBrief), control::NobodyListens);
  }
  SECTION("a path that is too long") {
    CHECK(error_of('/' + std::string(200, 'x'), kBrief).find("too long") != std::string::npos);
  }
  SECTION("the daemon's refusal") {
    Server server([](int fd) {
      Server::receive(fd);
      Server::send(fd, control::encode({{"error", "no such command"}}));
    });
    CHECK(error_of(server.path(), kPatient) == server.path() + ": no such command");
  }
  SECTION("closed without an answer") {
    Server server([](int fd) { Server::receive(fd); });
    CHECK(error_of(server.path(), kPatient).find("closed without an answer") != std::string::npos);
  }
  SECTION("closed before the request was read") {
    Server server([](int) {});
    CHECK(error_of(server.path(), kPatient) != "no error");
  }
  SECTION("rubbish") {
    Server server([](int fd) {
      Server::receive(fd);
      Server::send(fd, "HTTP/1.0 400 Bad Request\r\n");
    });
    CHECK(error_of(server.path(), kPatient).find("the daemon sent a frame of") != std::string::npos);
  }
  SECTION("silence") {
    Server server({});  // it listens, and never accepts
    CHECK(error_of(server.path(), kBrief).find("no answer in time") != std::string::npos);
    // Its backlog is full by now, and connecting itself would wait for ever.
    std::string last;
    for (int i = 0; i < 3; ++i) last = error_of(server.path(), kBrief);
    CHECK(last.find("no answer in time") != std::string::npos);
  }
}
