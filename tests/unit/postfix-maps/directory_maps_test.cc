// The maps over a real directory with a database that the test holds: what goes over the wire for which key.
#include "postfix-maps/directory_maps.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "postfix-maps/maps.h"
#include "postfix-maps/socketmap/session.h"
#include "shared/base/text.h"
#include "shared/config/config.h"
#include "shared/directory/directory.h"

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"
#include "tests/support/socket_pair.h"
#include "tests/unit/shared/directory/fake_database.h"

using namespace vmail;
using directory::test::FakeDatabase;

namespace {

struct Fixture {
  // `prepare` adds to the tables what is read at the start.
  explicit Fixture(const std::function<void(FakeDatabase::Tables&)>& prepare = [](auto&) {}) {
    // The refresh is a real timer: out of the way.
    settings.database.retry_after = std::chrono::milliseconds(1);
    settings.directory.domains_refresh = std::chrono::minutes(10);
    tables->domains = {
        {"own", "d.org", std::nullopt}, {"alias", "alias.org", "d.org"}, {"relay", "relay.org", std::nullopt}};
    tables->add_user("u@d.org");
    tables->add_user("off@d.org", "0");
    tables->add_alias("team@d.org", "u@d.org");
    tables->add_alias("team@d.org", "x@elsewhere.org");
    prepare(*tables);
    directory =
        std::make_unique<directory::Directory>(loop(), clock, settings, std::make_unique<FakeDatabase>(loop(), tables));
    maps::add_directory_maps(maps, *directory);
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

// Answers with "1" and the key.
class EchoDatabase final : public directory::QueryDatabase {
 public:
  explicit EchoDatabase(Loop& loop) : loop_(loop) {}
  void ask(const std::string&, std::vector<std::string> parameters, Instant, Done done) override {
    loop_.post([key = parameters.at(0), done = std::move(done)]() mutable {
      if (key == "fail") return done(Outcome<AddressList>::temp_fail("injected"));
      done(Outcome<AddressList>::found(key == "none" ? AddressList() : AddressList{"1", key}));
    });
  }
  void stop() override {}

 private:
  Loop& loop_;
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
      {"relay-domains", "Relay.ORG", "OK 1"},
      {"relay-domains", "d.org", "NOTFOUND "},
      {"relay-domains", "alias.org", "NOTFOUND "},
      {"relay-domains", "sub.relay.org", "NOTFOUND "},
      {"relay-domains", "elsewhere.org", "NOTFOUND "},
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

TEST_CASE("rules are found by address, extension, alias domain and domain, and answered as Postfix wants them") {
  using directory::RuleKind;
  Fixture f([](FakeDatabase::Tables& tables) {
    tables.add_rule(RuleKind::Transport, "u@d.org", "smtp:[special.org]");
    tables.add_rule(RuleKind::Transport, "d.org", ":");
    tables.add_rule(RuleKind::Transport, ".d.org", "smtp:[below.org]:26");
    tables.add_rule(RuleKind::Transport, "*", "relay:[smarthost.org]");
    tables.add_rule(RuleKind::SenderBcc, "u@d.org", "archive@d.org");
    tables.add_rule(RuleKind::RecipientBcc, "@d.org", "copies@elsewhere.org");
    tables.add_rule(RuleKind::SenderRelay, "<>", "[bounces.org]");
    tables.add_rule(RuleKind::SenderRelay, "u@d.org", "[relay.org]:587");
    tables.add_rule(RuleKind::SenderCanonical, "u@d.org", "User.Name@d.org");
    tables.add_rule(RuleKind::SenderCanonical, "@d.org", "@public.org");
    tables.add_rule(RuleKind::RecipientCanonical, "old@elsewhere.org", "new@elsewhere.org");
    tables.add_rule(RuleKind::RecipientAccess, "team@d.org", "REJECT team is for members; ask first");
    tables.add_rule(RuleKind::RecipientAccess, ".elsewhere.org", "HOLD");
    tables.add_rule(RuleKind::SenderBcc, "two@d.org", "a@d.org");
    tables.add_rule(RuleKind::SenderBcc, "two@d.org", "b@d.org");
  });
  const struct {
    const char* map;
    const char* key;
    const char* reply;
  } cases[] = {
      {"transports", "U@D.org", "OK smtp:[special.org]"},
      {"transports", "u+x@d.org", "OK smtp:[special.org]"},
      {"transports", "u@alias.org", "OK smtp:[special.org]"},
      {"transports", "other@d.org", "OK :"},
      {"transports", "other@alias.org", "OK :"},
      {"transports", "x@a.b.d.org", "OK smtp:[below.org]:26"},
      {"transports", "x@elsewhere.org", "OK relay:[smarthost.org]"},
      {"transports", "*", "OK relay:[smarthost.org]"},
      {"transports", "d.org", "OK :"},
      {"transports", "", "NOTFOUND "},
      {"sender-bcc", "U+x@d.org", "OK archive@d.org"},
      {"sender-bcc", "u@alias.org", "OK archive@d.org"},
      {"sender-bcc", "v@d.org", "NOTFOUND "},
      {"sender-bcc", "", "NOTFOUND "},
      {"sender-bcc", "\"\"", "NOTFOUND "},
      {"sender-bcc", "<>", "NOTFOUND "},
      {"sender-bcc", "two@d.org", "TEMP the rule has 2 values, and Postfix takes one here"},
      {"recipient-bcc", "anybody@d.org", "OK copies@elsewhere.org"},
      {"recipient-bcc", "anybody@elsewhere.org", "NOTFOUND "},
      {"sender-relay", "<>", "OK [bounces.org]"},
      {"sender-relay", "\"<>\"", "OK [bounces.org]"},
      {"sender-relay", "u@d.org", "OK [relay.org]:587"},
      {"sender-relay", "v@d.org", "NOTFOUND "},
      {"sender-canonical", "u@d.org", "OK User.Name@d.org"},
      {"sender-canonical", "u+x@d.org", "OK User.Name+x@d.org"},
      {"sender-canonical", "V+x@d.org", "OK v+x@public.org"},
      {"sender-canonical", "v@elsewhere.org", "NOTFOUND "},
      {"recipient-canonical", "old@elsewhere.org", "OK new@elsewhere.org"},
      {"recipient-canonical", "old+x@elsewhere.org", "OK new+x@elsewhere.org"},
      {"recipient-access", "team@d.org", "OK REJECT team is for members; ask first"},
      {"recipient-access", "x@sub.elsewhere.org", "OK HOLD"},
      {"recipient-access", "x@elsewhere.org", "NOTFOUND "},
      {"recipient-access", "u@d.org@d.org", "NOTFOUND "},
  };
  for (const auto& test : cases) {
    CAPTURE(test.map, test.key);
    CHECK(f.get(test.map, test.key) == test.reply);
  }
}

TEST_CASE("who may send as an address is told with all its ways") {
  Fixture f([](FakeDatabase::Tables& tables) {
    tables.add_user("v@d.org");
    tables.add_alias("@d.org", "v@d.org");
    tables.add_rule(directory::RuleKind::SendAs, "v@d.org", "u@d.org");
  });
  CHECK(f.get("sender-logins", "U+x@d.org") == "OK u@d.org,v@d.org");
  CHECK(f.get("sender-logins", "v@alias.org") == "OK v@d.org");
  CHECK(f.get("sender-logins", "team@d.org") == "OK u@d.org");
  CHECK(f.get("sender-logins", "whoever@d.org") == "OK v@d.org");
  CHECK(f.get("sender-logins", "somebody@elsewhere.org") == "NOTFOUND ");
  CHECK(f.get("sender-logins", "<>") == "NOTFOUND ");
}

TEST_CASE("rules that cannot be read are a temporary failure") {
  Fixture f([](FakeDatabase::Tables& tables) { tables.rules_fault = "no such table"; });
  for (const char* map : {"transports", "sender-bcc", "recipient-access", "sender-canonical"}) {
    CHECK(f.get(map, "u@d.org").starts_with("TEMP "));
  }
  CHECK(f.get("mailboxes", "u@d.org") == "OK 1");
}

namespace {

std::string check_error(const config::QueryMap& map) {
  config::Settings settings;
  settings.maps.query = {map};
  try {
    maps::check_query_maps(settings);
  } catch (const config::Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a map of the administrator's has a name of its own") {
  const std::string good = "SELECT 1 WHERE :key";
  CHECK(check_error({"my-map_2", good}) == "no error");
  CHECK(check_error({"my map", good}) == "maps.query: the name \"my map\" may hold a-z, 0-9, '-' and '_' only");
  CHECK(check_error({"mine", "SELECT 1"}).find("asks the same for every key") != std::string::npos);
  Fixture f;
  const auto unknown = f.get("nothing", "x");
  const auto list = unknown.substr(unknown.find("there are: ") + 11);
  std::size_t count = 0;
  for (const auto& name : split(list, ',')) {
    CAPTURE(name);
    CHECK(check_error({std::string(trim(name)), good}).find("choose another name") != std::string::npos);
    ++count;
  }
  CHECK(count == 12);
}

TEST_CASE("a map of the administrator's answers as the others do") {
  Fixture f;
  f.settings.maps.query = {{"mine", "SELECT 1 WHERE :key"}};
  directory::QueryMaps queries(f.loop(), f.clock, f.settings, std::make_unique<EchoDatabase>(f.loop()));
  maps::add_query_maps(f.maps, queries);
  CHECK(f.get("mine", "U@d.org") == "OK 1,u@d.org");
  CHECK(f.get("mine", "u@d.org") == "OK 1,u@d.org");
  CHECK(f.get("mine", "none") == "NOTFOUND ");
  CHECK(f.get("mine", "fail") == "TEMP injected");
}
