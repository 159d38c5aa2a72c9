// Channels over real socket pairs.
#include "shared/runtime/channel.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/socket_pair.h"

using namespace vmail;

namespace {

// Does what the test says, and notes what happened.
class TestSession final : public Session {
 public:
  explicit TestSession(Channel& channel, int& alive) : channel_(channel), alive_(alive) { ++alive_; }
  ~TestSession() override { --alive_; }
  void on_bytes(std::string_view bytes) override {
    received += bytes;
    const int before = alive_;
    if (on_bytes_do) on_bytes_do(channel_, bytes);
    CHECK(alive_ == before);  // it outlives its own calls
  }
  void on_end_of_input() override {
    ++ends;
    if (close_at_end) channel_.close();
  }
  void on_drain() override {
    ++drains;
    channel_.close();
  }

  std::string received;
  int ends = 0;
  int drains = 0;
  bool close_at_end = true;
  std::function<void(Channel&, std::string_view)> on_bytes_do;

 private:
  Channel& channel_;
  int& alive_;
};

struct Fixture {
  Fixture() {
    pair.open([this](Channel& channel) {
      auto made = std::make_shared<TestSession>(channel, alive);
      session = made.get();
      return made;
    });
  }
  // Waits for an event, however long that takes; ctest's own limit ends a hang.
  void run_until(const std::function<bool()>& happened) {
    while (!happened()) {
      pair.loop().io().restart();
      pair.loop().io().run_one_for(std::chrono::milliseconds(10));
    }
  }

  int alive = 0;
  TestSession* session = nullptr;
  test::SocketPair pair;
};

void echo(Channel& channel, std::string_view bytes) {
  channel.send(bytes);
}

}  // namespace

TEST_CASE("bytes come in and go out in order") {
  Fixture f;
  f.session->on_bytes_do = echo;
  f.pair.write("hello ");
  f.pair.write("world");
  CHECK(f.pair.read() == "hello world");
  CHECK(f.session->received == "hello world");
  // A piece larger than any buffer between.
  const std::string large(700000, 'x');
  std::string back;
  for (std::size_t at = 0; at < large.size(); at += 50000) {
    f.pair.write(large.substr(at, 50000));
    back += f.pair.read();
  }
  CHECK(back == large);
}

TEST_CASE("a paused session gets nothing until it resumes") {
  Fixture f;
  f.session->on_bytes_do = [](Channel& channel, std::string_view) { channel.pause(); };
  f.pair.write("a");
  f.pair.write("b");
  CHECK(f.session->received == "a");
  f.pair.channel().send("answer");
  CHECK(f.pair.read() == "answer");
  CHECK(f.session->received == "a");
  f.pair.channel().resume();
  f.pair.settle();
  CHECK(f.session->received == "ab");
  SECTION("resume inside the call") {
    f.session->on_bytes_do = [](Channel& channel, std::string_view) {
      channel.pause();
      channel.resume();
    };
    f.pair.channel().resume();
    f.pair.write("c");
    f.pair.write("d");
    CHECK(f.session->received == "abcd");
  }
}

TEST_CASE("the end of input is told once") {
  Fixture f;
  f.session->close_at_end = false;
  f.pair.write("a");
  f.pair.end_output();
  f.pair.settle();
  CHECK(f.session->ends == 1);
  CHECK_FALSE(f.pair.closed());
  f.pair.channel().send("late answer");
  CHECK(f.pair.read() == "late answer");
  f.pair.channel().close();
  CHECK(f.pair.closed());
  CHECK(f.alive == 0);
}

TEST_CASE("close delivers what was sent, and takes no more input") {
  Fixture f;
  f.session->on_bytes_do = [](Channel& channel, std::string_view) {
    channel.send("bye");
    channel.close();
    CHECK_FALSE(channel.is_open());
    channel.send("not this");
    channel.close();
    channel.resume();
  };
  f.pair.write("a");
  CHECK(f.pair.read() == "bye");
  CHECK(f.pair.closed());
  CHECK(f.pair.closed_calls() == 1);
  CHECK(f.alive == 0);
}

TEST_CASE("close waits for a peer that reads slowly") {
  Fixture f;
  const std::string large(900000, 'x');  // more than the socket takes at once
  f.pair.channel().send(large);
  f.pair.channel().close();
  CHECK(f.pair.closed_calls() == 0);
  CHECK(f.pair.read() == large);
  CHECK(f.pair.closed());
}

TEST_CASE("abort ends it at once, inside a call too") {
  Fixture f;
  f.session->on_bytes_do = [](Channel& channel, std::string_view) {
    channel.send("dropped");
    channel.abort();
    channel.abort();
    channel.close();
    channel.send("dropped too");
  };
  f.pair.write("a");
  CHECK(f.pair.read() == "");
  CHECK(f.pair.closed());
  CHECK(f.alive == 0);
}

TEST_CASE("a peer that takes no replies is not read from, and then cut off") {
  Fixture f;
  f.session->on_bytes_do = echo;
  // Until the socket is full in our direction: what is sent then is held here.
  f.pair.channel().send(std::string(500000, 'x'));
  f.pair.write("more");
  CHECK(f.session->received.empty());

  SECTION("reading on makes it go on") {
    CHECK(f.pair.read().size() == 500004);
    CHECK(f.session->received == "more");
  }
  SECTION("over a megabyte is too much") {
    f.pair.channel().send(std::string(1100000, 'x'));
    f.pair.settle();
    CHECK(f.pair.closed_calls() == 1);
    CHECK(f.alive == 0);
  }
}

TEST_CASE("a peer that vanishes ends the session") {
  Fixture f;
  SECTION("while idle") {
    ::shutdown(f.pair.fd(), SHUT_RDWR);
  }
  SECTION("with replies on their way") {
    f.pair.channel().send(std::string(900000, 'x'));
    ::shutdown(f.pair.fd(), SHUT_RDWR);
  }
  f.run_until([&] { return f.pair.closed_calls() == 1; });
  CHECK(f.alive == 0);
}

TEST_CASE("a deadline closes, unless it is cleared") {
  Fixture f;
  f.pair.channel().set_deadline(std::chrono::milliseconds(5), "test");
  SECTION("when it passes") {
    f.run_until([&] { return f.pair.closed_calls() == 1; });
    CHECK(f.alive == 0);
  }
  SECTION("not when it was cleared or replaced") {
    bool later = false;
    Timer timer(f.pair.loop());
    timer.start(std::chrono::milliseconds(30), [&] { later = true; });
    SECTION("cleared") {
      f.pair.channel().clear_deadline();
    }
    SECTION("replaced") {
      f.pair.channel().set_deadline(std::chrono::hours(1), "test");
    }
    f.run_until([&] { return later; });
    CHECK(f.pair.closed_calls() == 0);
  }
}

TEST_CASE("a session may set its deadline in its constructor, and greet") {
  class Greeting final : public Session {
   public:
    explicit Greeting(Channel& channel) {
      channel.set_deadline(std::chrono::hours(1), "test");
      channel.send("220 hello\r\n");
    }
    void on_bytes(std::string_view) override {}
    void on_end_of_input() override {}
    void on_drain() override {}
  };
  test::SocketPair pair;
  pair.open([](Channel& channel) { return std::make_shared<Greeting>(channel); });
  CHECK(pair.read() == "220 hello\r\n");
}

TEST_CASE("draining asks the session once, and not after its end") {
  Fixture f;
  f.pair.drain();
  CHECK(f.pair.closed());
  CHECK(f.alive == 0);
  f.pair.drain();
  CHECK(f.pair.closed_calls() == 1);
}

TEST_CASE("the owner is told of the end outside the session's calls") {
  test::SocketPair pair;
  int alive = 0;
  bool inside = false;
  Loop loop;
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
  const UniqueFd ours(fds[0]);
  auto channel = std::make_shared<Channel>(loop, UniqueFd(fds[1]), Peer{});
  auto session = std::make_shared<TestSession>(*channel, alive);
  session->on_bytes_do = [&](Channel& open, std::string_view) {
    inside = true;
    open.abort();
    inside = false;
  };
  bool told_inside = true;
  channel->start(std::move(session), [&](Channel& closed) {
    CHECK(&closed == channel.get());
    told_inside = inside;
    channel.reset();  // as the listener does
  });
  REQUIRE(::send(ours.get(), "x", 1, 0) == 1);
  while (channel) {
    loop.io().restart();
    loop.io().run_one_for(std::chrono::milliseconds(10));
  }
  loop.run_ready();
  CHECK_FALSE(told_inside);
  CHECK(alive == 0);
}
