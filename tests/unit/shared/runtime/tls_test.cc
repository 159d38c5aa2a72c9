#include "shared/runtime/tls.h"

#include <sys/stat.h>

#include <string>

#include "shared/runtime/channel.h"
#include "tests/support/captured.h"
#include "tests/support/catch.h"
#include "tests/support/socket_pair.h"
#include "tests/support/tls_client.h"

using namespace vmail;
using test::TempDir;
using test::TlsClient;

namespace {

struct Files {
  Files() {
    test::make_certificate(folder, "certificate", "key");
    test::make_certificate(folder, "other", "other-key");
  }
  // What is complained of; empty: nothing.
  std::string why(const std::string& certificate, const std::string& key) const {
    try {
      TlsContext context(folder.file(certificate), folder.file(key));
      return "";
    } catch (const TlsError& error) {
      return error.what();
    }
  }
  bool names(const std::string& text, const std::string& file, const std::string& words) const {
    return text.find(folder.file(file) + ": ") == 0 && text.find(words) != std::string::npos;
  }

  TempDir folder;
};

// Says everything back, and begins TLS when it is told "TLS".
class Echo final : public Session {
 public:
  Echo(Channel& channel, const TlsContext& context) : channel_(channel), context_(context) {}
  void on_bytes(std::string_view bytes) override {
    if (bytes == "TLS") {
      channel_.send("go");
      channel_.start_tls(context_);
      channel_.set_deadline(std::chrono::hours(1), "handshake");
      return;
    }
    if (bytes == "bye") {
      channel_.send("bye, too");
      return channel_.close();
    }
    received += bytes;
    channel_.send(bytes);
  }
  void on_end_of_input() override {
    ++ends;
    channel_.close();
  }
  void on_drain() override { channel_.close(); }

  std::string received;
  int ends = 0;

 private:
  Channel& channel_;
  const TlsContext& context_;
};

struct Encrypted {
  Encrypted() {
    pair.open([this](Channel& channel) {
      auto made = std::make_shared<Echo>(channel, context);
      session = made.get();
      return made;
    });
  }
  // The handshake, with the plain text around it.
  void begin() {
    pair.write("TLS");
    REQUIRE(pair.read() == "go");
    REQUIRE(client.handshake());
    CHECK(pair.channel().is_encrypted());
    CHECK(session->received.empty());
  }

  Files files;
  TlsContext context{files.folder.file("certificate"), files.folder.file("key")};
  Echo* session = nullptr;
  test::SocketPair pair;
  TlsClient client{[this](const std::string& bytes) {
    pair.write(bytes);
    return pair.read();
  }};
};

}  // namespace

TEST_CASE("files that are no certificate or key are named, with what is wrong") {
  Files files;
  CHECK(files.why("certificate", "key").empty());
  CHECK(files.names(files.why("missing", "key"), "missing", "No such file"));
  CHECK(files.names(files.why("certificate", "missing"), "missing", "No such file"));
  CHECK(files.names(files.why("key", "key"), "key", "no certificate in PEM form"));
  CHECK(files.names(files.why("certificate", "certificate"), "certificate", "others may read"));
  CHECK(files.names(files.why("certificate", "other-key"), "other-key", "no private key that belongs to"));
  ::chmod(files.folder.file("key").c_str(), 0604);
  CHECK(files.names(files.why("certificate", "key"), "key", "chmod o="));
  ::chmod(files.folder.file("key").c_str(), 0640);
  CHECK(files.why("certificate", "key").empty());
  CHECK(files.names(files.why("..", "key"), "..", "is not a regular file"));
}

TEST_CASE("a stream, byte by byte and at once") {
  Files files;
  const TlsContext context(files.folder.file("certificate"), files.folder.file("key"));
  for (const std::size_t step : {std::size_t{1}, std::size_t{100000}}) {
    TlsStream server(context);
    std::string heard;
    TlsClient client([&](const std::string& bytes) {
      std::string wire;
      for (std::size_t at = 0; at < bytes.size(); at += step) server.receive(bytes.substr(at, step), heard, wire);
      return wire;
    });
    REQUIRE(client.handshake());
    const std::string large(100000, 'x');
    client.say(large);
    CHECK(heard == large);
    std::string wire;
    server.send(large, wire);
    CHECK(wire.size() > large.size());
    CHECK(wire.find("xxx") == std::string::npos);
  }
}

TEST_CASE("what is no TLS is told apart from its end") {
  Files files;
  const TlsContext context(files.folder.file("certificate"), files.folder.file("key"));
  TlsStream server(context);
  std::string plain, wire;
  CHECK(server.receive("", plain, wire) == TlsStream::State::Handshake);
  CHECK(server.receive("NOOP\r\n", plain, wire) == TlsStream::State::Broken);
  CHECK_FALSE(server.why().empty());
  CHECK(server.receive("NOOP\r\n", plain, wire) == TlsStream::State::Broken);
  CHECK(plain.empty());
}

TEST_CASE("a channel goes over to TLS") {
  Encrypted f;
  f.begin();
  CHECK(f.client.say("hello") == "hello");
  const std::string large(200000, 'y');
  CHECK(f.client.say(large) == large);
  CHECK(f.session->received == "hello" + large);
  SECTION("the peer ends") {
    f.client.end();
    CHECK(f.pair.closed());
  }
  SECTION("we end, and say so") {
    CHECK(f.client.say("bye") == "bye, too");
    CHECK(f.client.is_ended());
    CHECK(f.pair.closed());
  }
  SECTION("the peer vanishes") {
    f.pair.end_output();
    CHECK(f.pair.closed());
  }
}

TEST_CASE("a peer that ends with its last word is answered by a session that had to wait") {
  Encrypted f;
  f.begin();
  f.pair.channel().pause();
  f.client.end();
  CHECK(f.session->ends == 0);
  CHECK(f.pair.closed_calls() == 0);
  f.pair.channel().send("late answer");
  CHECK(f.client.say("") == "late answer");
  f.pair.channel().resume();
  CHECK(f.pair.closed());
}

TEST_CASE("plain text where TLS was to begin ends the connection") {
  Encrypted f;
  f.pair.write("TLS");
  CHECK(f.pair.read() == "go");
  const std::string log = test::captured([&] { f.pair.write("MAIL FROM:<a@b>\r\n"); });
  CHECK(log.find("peer=test: closed: TLS: ") != std::string::npos);
  CHECK(f.pair.closed());
}

TEST_CASE("a drain in the middle of the handshake ends the connection") {
  Encrypted f;
  f.pair.write("TLS");
  CHECK(f.pair.read() == "go");
  f.pair.drain();
  CHECK(f.pair.closed());
}
