#include "dovecot-lmtp-store/usage.h"

#include <filesystem>
#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/socket_pair.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  explicit Fixture(std::size_t queue = 10) : disk("disk", 1, queue) {
    std::string why;
    usages.emplace(pair.loop(), disk, reader, base.path().string(), *maildir::Layout::parse("%d/%n", why));
    pair.open([this](Channel& channel) { return std::make_shared<store::UsageSession>(channel, *usages); });
  }
  ~Fixture() {
    disk.stop();
    pair.settle();  // what it has posted is answered while there is somebody to answer it
  }

  void mailbox(const std::string& path, const std::string& quota_file) const {
    fs::create_directories(base.path() / path / "cur");
    std::ofstream(base.path() / path / "maildirsize") << quota_file;
  }
  json ask(const json& request) {
    pair.write(control::encode(request));
    return reply();
  }
  json reply() {
    json message;
    std::string why;
    while (decoder.next(message, why) == control::Decoder::State::NeedMore) decoder.feed(pair.read());
    return message;
  }

  const test::TempDir base;
  test::SocketPair pair;
  SystemClock clock;
  maildir::RealFiles files;
  maildir::UsageReader reader{files, clock};
  WorkerPool disk;
  std::optional<store::Usages> usages;
  control::Decoder decoder;
};

std::string text_of(const json& error) {
  return error.at("error").get<std::string>();
}

json mailboxes(const std::vector<std::pair<std::string, std::string>>& addresses) {
  json list = json::array();
  for (const auto& [local, domain] : addresses) list.push_back({{"local", local}, {"domain", domain}});
  return {{"mailboxes", list}};
}

}  // namespace

TEST_CASE("the usage of mailboxes is told in the order asked") {
  Fixture f;
  f.mailbox("example.com/lisi", "1S\n1000 3\n");
  f.mailbox("example.com/wang", "1S\n7 1\n");
  const json reply = f.ask(mailboxes({{"wang", "example.com"}, {"nobody", "example.com"}, {"lisi", "example.com"}}));
  CHECK(reply ==
        json{{"mailboxes",
              {{{"bytes", 7}, {"messages", 1}}, {{"bytes", 0}, {"messages", 0}}, {{"bytes", 1000}, {"messages", 3}}}}});
  CHECK(f.ask(mailboxes({})) == json{{"mailboxes", json::array()}});
}

TEST_CASE("several requests at once are answered one after the other") {
  Fixture f;
  f.mailbox("example.com/lisi", "1S\n1 1\n");
  const std::string request = control::encode(mailboxes({{"lisi", "example.com"}}));
  f.pair.write(request + request + request.substr(0, 10));
  CHECK(f.reply().at("mailboxes").size() == 1);
  CHECK(f.reply().at("mailboxes").size() == 1);
  f.pair.write(request.substr(10));
  CHECK(f.reply().at("mailboxes")[0].at("bytes") == 1);
  f.pair.end_output();
  CHECK(f.pair.closed());
}

TEST_CASE("an address cannot lead out of the folder of mail") {
  Fixture f;
  const json reply = f.ask(mailboxes({{"..", "example.com"}, {"a/b", "example.com"}, {"", "x"}, {"lisi", ".."}}));
  REQUIRE(reply.at("mailboxes").size() == 4);
  for (const auto& each : reply.at("mailboxes")) CHECK(each == json{{"error", "no mailbox can have that address"}});
}

TEST_CASE("what cannot be read is an error of that mailbox alone") {
  Fixture f;
  f.mailbox("example.com/lisi", "1S\n1 1\n");
  std::ofstream(f.base.path() / "example.com/wang") << "no folder";
  const json reply = f.ask(mailboxes({{"wang", "example.com"}, {"lisi", "example.com"}}));
  CHECK(text_of(reply.at("mailboxes")[0]).find("example.com/wang: Not a directory") != std::string::npos);
  CHECK(reply.at("mailboxes")[1].at("bytes") == 1);
}

TEST_CASE("a request that makes no sense is told so") {
  Fixture f;
  for (const char* text : {"{}", R"({"mailboxes": 1})", R"({"mailboxes": {}})", R"({"mailboxes": ["a@b"]})",
                           R"({"mailboxes": [{"local": "a"}]})", R"({"mailboxes": [{"local": 1, "domain": "b"}]})"}) {
    CAPTURE(text);
    CHECK(f.ask(json::parse(text)).contains("error"));
  }
  const std::vector<std::pair<std::string, std::string>> many(1001, {"a", "b"});
  CHECK(f.ask(mailboxes(many)).at("error") == "more than 1000 mailboxes in one request");
  CHECK(f.ask(mailboxes({})).contains("mailboxes"));
  f.pair.write(std::string("\xff\xff\xff\xff", 4));
  CHECK(f.pair.closed());
}

TEST_CASE("a full queue is an error, not a wait") {
  Fixture f(0);
  const json reply = f.ask(mailboxes({{"lisi", "example.com"}}));
  CHECK(text_of(reply).find("too much waits for the disk") != std::string::npos);
}

TEST_CASE("a drain answers what was asked, then closes") {
  Fixture f;
  f.pair.write(control::encode(mailboxes({{"lisi", "example.com"}})));
  f.pair.drain();
  CHECK(f.reply().contains("mailboxes"));
  CHECK(f.pair.closed());

  Fixture idle;
  idle.pair.drain();
  CHECK(idle.pair.closed());
}

TEST_CASE("a peer that goes while its question is answered costs nothing") {
  Fixture f;
  f.pair.write(control::encode(mailboxes({{"lisi", "example.com"}})));
  f.pair.reset();
  f.disk.stop();
  f.pair.settle();
}
