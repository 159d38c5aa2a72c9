// The three maps over a real directory with a database that the test holds: what goes over the wire for which key.
#include <memory>
#include <string>

#include <thread>
#include "postfix-maps/maps.h"
#include "shared/directory/directory.h"

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"
#include "tests/support/socket_pair.h"
#include "tests/unit/shared/directory/fake_database.h"

using namespace vmail;
using directory::test::FakeDatabase;

namespace {

struct Fixture {
  Fixture() {
    // The refresh is a real timer: out of the way.
    settings.database.retry_after = std::chrono::milliseconds(1);
    settings.directory.domains_refresh = std::chrono::minutes(10);
    tables->domains = {
        {"own", "d.org", std::nullopt}, {"alias", "alias.org", "d.org"}, {"relay", "relay.org", std::nullopt}};
    tables->add_user("u@d.org");
    tables->add_user("off@d.org", "0");
    tables->add_alias("team@d.org", "u@d.org");
    tables->add_alias("team@d.org", "x@elsewhere.org");
    directory =
        std::make_unique<directory::Directory>(loop(), clock, settings, std::make_unique<FakeDatabase>(loop(), tables));
    maps.add_directory(*directory);
    pair.open([this](Channel& channel) { return std::make_shared<socketmap::SocketmapSession>(channel, maps); });
  }
  ~Fixture() {
    pair.reset();
    directory->stop();
    pair.settle();
    directory.reset();
    pair.settle();
  }
  Loop& loop() { return pair.loop(); }

  void send(const std::string& map, const std::string& key) {
    const std::string payload = map + ' ' + key;
    pair.write(std::to_string(payload.size()) + ':' + payload + ',');
  }
  // The reply without its netstring, or nothing when there is none yet.
  std::string get(const std::string& map, const std::string& key) {
    send(map, key);
    return reply();
  }
  std::string reply() {
    const std::string wire = pair.read();
    const auto colon = wire.find(':');
    return colon == std::string::npos ? wire : wire.substr(colon + 1, wire.size() - colon - 2);
  }

  test::ManualClock clock;
  config::Settings settings;
  std::shared_ptr<FakeDatabase::Tables> tables = std::make_shared<FakeDatabase::Tables>();
  maps::Maps maps{clock};
  test::SocketPair pair;
  std::unique_ptr<directory::Directory> directory;
};

}  // namespace

TEST_CASE("keys as Postfix sends them, and what it is told") {
  Fixture f;
  const struct {
    const char* map;
    std::string key;
    const char* reply;
  } cases[] = {
      {"domains", "d.org", "OK 1"},
      {"domains", "D.Org", "OK 1"},
      {"domains", "alias.org", "OK 1"},
      {"domains", "relay.org", "NOTFOUND "},
      {"domains", "elsewhere.org", "NOTFOUND "},
      {"domains", "sub.d.org", "NOTFOUND "},
      {"domains", "[192.0.2.1]", "NOTFOUND "},
      {"domains", "u@d.org", "NOTFOUND "},
      {"domains", "", "NOTFOUND "},
      {"domains", "*", "NOTFOUND "},
      {"mailboxes", "u@d.org", "OK 1"},
      {"mailboxes", "U+News@D.ORG", "OK 1"},
      {"mailboxes", "\"u\"@d.org", "OK 1"},
      {"mailboxes", "u@alias.org", "OK 1"},
      {"mailboxes", "off@d.org", "NOTFOUND "},
      {"mailboxes", "off+x@alias.org", "NOTFOUND "},
      {"mailboxes", "team@d.org", "NOTFOUND "},
      {"mailboxes", "nobody@d.org", "NOTFOUND "},
      {"mailboxes", "u@relay.org", "NOTFOUND "},
      {"mailboxes", "d.org", "NOTFOUND "},
      {"mailboxes", "@d.org", "NOTFOUND "},
      {"mailboxes", "u@d.org@d.org", "NOTFOUND "},
      {"mailboxes", "\"a b\"@d.org", "NOTFOUND "},
      {"mailboxes", "<>", "NOTFOUND "},
      {"mailboxes", "\"\"", "NOTFOUND "},
      {"mailboxes", "", "NOTFOUND "},
      {"mailboxes", "u\n@d.org", "NOTFOUND "},
      {"mailboxes", "\xff@d.org", "NOTFOUND "},
      {"mailboxes", std::string(1000, 'u') + "@d.org", "NOTFOUND "},
      {"mailboxes", std::string(20000, 'u') + "@d.org", "NOTFOUND "},
      {"aliases", "team@d.org", "OK u@d.org,x@elsewhere.org"},
      {"aliases", "Team+x@D.org", "OK u+x@d.org,x+x@elsewhere.org"},
      {"aliases", "u@alias.org", "OK u@d.org"},
      {"aliases", "u+x@alias.org", "OK u+x@d.org"},
      {"aliases", "u@d.org", "NOTFOUND "},
      {"aliases", "off@d.org", "NOTFOUND "},
      // Anything else would make the domain a virtual alias domain, without mailboxes.
      {"aliases", "d.org", "NOTFOUND "},
      {"aliases", "alias.org", "NOTFOUND "},
      {"aliases", "@d.org", "NOTFOUND "},
      {"aliases", "somebody@elsewhere.org", "NOTFOUND "},
  };
  for (const bool again : {false, true}) {  // the second time from memory
    for (const auto& test : cases) {
      CAPTURE(again, test.map, test.key.substr(0, 40));
      CHECK(f.get(test.map, test.key) == test.reply);
    }
  }
}

TEST_CASE("a catch-all takes what nothing else does, and no mailbox") {
  Fixture f;
  f.tables->add_alias("@d.org", "u@d.org");
  CHECK(f.get("aliases", "whoever@d.org") == "OK u@d.org");
  CHECK(f.get("aliases", "u@d.org") == "NOTFOUND ");
  CHECK(f.get("aliases", "u+x@d.org") == "NOTFOUND ");
  CHECK(f.get("aliases", "off@d.org") == "NOTFOUND ");
  CHECK(f.get("aliases", "d.org") == "NOTFOUND ");
  CHECK(f.get("mailboxes", "whoever@d.org") == "NOTFOUND ");
}

TEST_CASE("a database that is away is a temporary failure, and for nobody else's addresses") {
  Fixture f;
  CHECK(f.get("mailboxes", "u@d.org") == "OK 1");
  f.tables->down = true;
  CHECK(f.get("mailboxes", "u@d.org") == "OK 1");  // known
  CHECK(f.get("mailboxes", "nobody@d.org") == "TEMP injected");
  CHECK(f.get("aliases", "team@d.org") == "TEMP injected");
  CHECK(f.get("aliases", "somebody@elsewhere.org") == "NOTFOUND ");
  CHECK(f.get("domains", "elsewhere.org") == "NOTFOUND ");
  CHECK(f.get("domains", "d.org") == "OK 1");
  f.tables->down = false;
  std::string reply;
  for (int i = 0; i < 10000 && !reply.starts_with("OK"); ++i) {
    reply = f.get("aliases", "team@d.org");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(reply == "OK u@d.org,x@elsewhere.org");
}

TEST_CASE("answers wait for the database, in order") {
  Fixture f;
  f.tables->frozen = true;
  CHECK(f.get("aliases", "team@d.org").empty());
  f.send("domains", "d.org");
  CHECK(f.reply().empty());
  f.tables->release();
  f.pair.settle();
  CHECK(f.pair.read() == "26:OK u@d.org,x@elsewhere.org,4:OK 1,");
}

TEST_CASE("questions that are out at the end are answered") {
  Fixture f;
  f.tables->frozen = true;
  CHECK(f.get("aliases", "team@d.org").empty());
  f.pair.drain();
  CHECK_FALSE(f.pair.closed());
  f.directory->stop();
  f.pair.settle();
  CHECK(f.reply().find("TEMP ") == 0);
  CHECK(f.pair.closed());
}
