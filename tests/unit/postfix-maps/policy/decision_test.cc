// Policy requests over a real directory with a database that the test holds: what is said to which request.
#include "postfix-maps/policy/decision.h"

#include <map>
#include <memory>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/socket_pair.h"
#include "tests/unit/shared/directory/directory_fixture.h"

using namespace vmail;
using directory::RuleKind;
using directory::test::ManualClock;
using policy::Used;
using namespace std::chrono_literals;

namespace {

// What the test says is in the mailboxes; one that it does not know cannot be asked.
struct FakeUsage final : policy::Usage {
  explicit FakeUsage(Loop& its_loop) : loop(its_loop) {}
  void ask(std::vector<directory::Mailbox> mailboxes, Done done) override {
    std::vector<Outcome<Used>> outcomes;
    for (const auto& mailbox : mailboxes) {
      const auto found = bytes.find(mailbox.address());
      outcomes.push_back(found == bytes.end() ? Outcome<Used>::temp_fail("not there")
                                              : Outcome<Used>::found({found->second, 1}));
    }
    loop.post([done = std::move(done), outcomes = std::move(outcomes)]() mutable { done(std::move(outcomes)); });
  }
  Loop& loop;
  std::map<std::string, std::uint64_t> bytes;
};

struct Fixture : directory::test::Fixture {
  Fixture() {
    tables->add_user("v@d.org");
    tables->add_alias("both@d.org", "u@d.org");
    tables->add_alias("both@d.org", "v@d.org");
    tables->add_alias("@d.org", "v@d.org");
    tables->add_alias("list@d.org", "u@d.org");
    tables->add_alias("list@d.org", "member@elsewhere.org");
  }
  ~Fixture() {
    directory->stop();
    loop.run_ready();
  }
  void start() {
    open();
    limits = std::make_unique<policy::Limits>(loop, clock, nullptr, "host",
                                              policy::Limits::Settings{policy::at_limit(settings.policy), 2, 1s});
    decider =
        std::make_unique<policy::Policy>(clock, *directory, locked, *limits, &usage, settings.policy,
                                         [this](const policy::LimitReached& what) { told.push_back(what.login); });
  }

  std::string ask(const policy::Request& request) {
    std::string action = "no answer";
    auto reply = decider->ask(request, [&](const policy::Reply& later) { action = later.action; });
    for (int i = 0; i < 20 && !reply && action == "no answer"; ++i) loop.run_ready();
    return reply ? reply->action : action;
  }
  // Port 25.
  std::string from_outside(const char* recipient, const char* sender = "somebody@elsewhere.org",
                           const char* size = "100") {
    return ask(request("", sender, recipient, size));
  }
  // Submission.
  std::string from(const char* login, const char* sender, const char* recipient = "someone@far.org") {
    return ask(request(login, sender, recipient, "100"));
  }
  std::string end(const char* login, const char* count) {
    policy::Request last = request(login, "u@d.org", "", "100");
    last.state = "END-OF-MESSAGE";
    last.recipient_count = count;
    return ask(last);
  }
  static policy::Request request(const char* login, const char* sender, const char* recipient, const char* size) {
    policy::Request request;
    request.state = "RCPT";
    request.instance = "1.2.0";
    request.queue_id = "QUEUEID";
    request.client_address = "192.0.2.7";
    request.sasl_username = login;
    request.sender = sender;
    request.recipient = recipient;
    request.size = size;
    return request;
  }

  FakeUsage usage{loop};
  std::vector<std::string> told;
  directory::DenyList locked{""};
  std::unique_ptr<policy::Limits> limits;
  std::unique_ptr<policy::Policy> decider;
};

bool refused(const std::string& action, const char* code) {
  return action.rfind(code, 0) == 0;
}

}  // namespace

TEST_CASE("a login sends under its own addresses only") {
  Fixture f;
  f.tables->add_rule(RuleKind::SendAs, "u@d.org", "news@far.org");
  f.start();
  const std::pair<const char*, bool> cases[] = {
      {"u@d.org", true},    {"U@D.org", true},         {"u+tag@d.org", true}, {"u@alias.org", true},
      {"a@d.org", true},    {"a@alias.org", true},     {"both@d.org", true},  {"news@far.org", true},
      {"", true},           {"v@d.org", false},        {"x@d.org", false},    {"other@far.org", false},
      {"off@d.org", false}, {"not an address", false}, {"u@relay.org", false}};
  for (const auto& [sender, own] : cases) {
    INFO(sender);
    CHECK(refused(f.from("u@d.org", sender), own ? "DUNNO" : "553 5.7.1"));
    CHECK(refused(f.from("u@alias.org", sender), own ? "DUNNO" : "553 5.7.1"));
  }
  CHECK(f.from("v@d.org", "anything@d.org") == "DUNNO");  // the owner of the catch-all
  CHECK(f.from_outside("u@d.org", "v@d.org") == "DUNNO");
  f.settings.policy.own_senders = false;
  f.decider->reload(f.settings.policy);
  CHECK(f.from("u@d.org", "v@d.org") == "DUNNO");
}

TEST_CASE("a login that is switched off stops in the middle of its session") {
  Fixture f;
  f.start();
  CHECK(f.from("v@d.org", "v@d.org") == "DUNNO");
  f.tables->remove("v@d.org");
  f.tables->add_user("v@d.org", "0");
  f.directory->flush({});
  CHECK(refused(f.from("v@d.org", ""), "521 5.7.1"));
  CHECK(refused(f.end("v@d.org", "1"), "521 5.7.1"));
  CHECK(refused(f.from("nobody@far.org", "nobody@far.org"), "521 5.7.1"));
}

TEST_CASE("mail to the outside and from it can be forbidden") {
  Fixture f;
  f.tables->add_rule(RuleKind::ExternalOut, "u@d.org", "no");
  f.tables->add_rule(RuleKind::ExternalIn, "d.org", "no");
  f.start();
  CHECK(refused(f.from("u@d.org", "u@d.org", "someone@far.org"), "550 5.7.1"));
  CHECK(f.from("u@d.org", "u@d.org", "v@d.org") == "DUNNO");
  CHECK(f.from("u@d.org", "u@d.org", "v@alias.org") == "DUNNO");
  CHECK(f.from("u@d.org", "u@d.org", "v@relay.org") == "DUNNO");
  CHECK(f.from("u@d.org", "u@d.org", "postmaster") == "DUNNO");
  CHECK(f.from("v@d.org", "v@d.org", "someone@far.org") == "DUNNO");
  CHECK(refused(f.from_outside("u@d.org"), "550 5.7.1"));
  CHECK(refused(f.from_outside("v@alias.org"), "550 5.7.1"));
  CHECK(refused(f.from_outside("u@d.org", ""), "550 5.7.1"));
  CHECK(f.from_outside("x@relay.org") == "DUNNO");
}

TEST_CASE("protected aliases take mail from those named alone") {
  Fixture f;
  f.tables->add_rule(RuleKind::Protect, "a@d.org", "v@d.org");
  f.tables->add_rule(RuleKind::Protect, "a@d.org", "@partner.org");
  f.tables->add_rule(RuleKind::Protect, "both@d.org", "domain");
  f.tables->add_rule(RuleKind::Protect, "list@d.org", "members");
  f.tables->domains.push_back({"own", "e.org", std::nullopt});
  f.tables->add_user("w@e.org");
  f.start();
  const std::string no = "550 5.7.1 <";

  SECTION("a list") {
    CHECK(f.from("v@d.org", "v@d.org", "a@d.org") == "DUNNO");
    CHECK(f.from("v@d.org", "v@d.org", "A+x@alias.org") == "DUNNO");
    CHECK(refused(f.from("u@d.org", "u@d.org", "a@d.org"), no.c_str()));
    CHECK(f.from_outside("a@d.org", "x@Partner.org") == "DUNNO");
    CHECK(refused(f.from_outside("a@d.org", "x@elsewhere.org"), no.c_str()));
    CHECK(refused(f.from_outside("a@d.org", ""), no.c_str()));
    // Without a login our own addresses prove nothing.
    CHECK(refused(f.from_outside("a@d.org", "v@d.org"), no.c_str()));
  }
  SECTION("the domain") {
    CHECK(f.from("u@d.org", "u@d.org", "both@d.org") == "DUNNO");
    CHECK(f.from("u@d.org", "u@d.org", "both@alias.org") == "DUNNO");
    CHECK(refused(f.from("w@e.org", "w@e.org", "both@d.org"), no.c_str()));
    CHECK(refused(f.from_outside("both@d.org", "u@d.org"), no.c_str()));
  }
  SECTION("its members") {
    CHECK(f.from("u@d.org", "u@d.org", "list@d.org") == "DUNNO");
    CHECK(refused(f.from("v@d.org", "v@d.org", "list@d.org"), no.c_str()));
    CHECK(f.from_outside("list@d.org", "Member@elsewhere.org") == "DUNNO");
    CHECK(refused(f.from_outside("list@d.org", "other@elsewhere.org"), no.c_str()));
  }
}

TEST_CASE("a full mailbox is refused, and an alias when none of its targets has room") {
  Fixture f;
  f.tables->add_rule(RuleKind::Quota, "u@d.org", "1K");
  f.tables->add_rule(RuleKind::Quota, "v@d.org", "1K");
  f.start();
  const char* const full = "452 4.2.2 <";
  f.usage.bytes = {{"u@d.org", 1024}, {"v@d.org", 500}};
  CHECK(refused(f.from_outside("u@d.org"), full));
  CHECK(refused(f.from_outside("u+x@alias.org"), full));
  CHECK(refused(f.from_outside("a@d.org"), full));
  CHECK(refused(f.from("v@d.org", "v@d.org", "u@d.org"), full));
  CHECK(f.from_outside("both@d.org") == "DUNNO");
  CHECK(f.from_outside("list@d.org") == "DUNNO");                     // one target is elsewhere
  CHECK(f.from_outside("v@d.org", "x@far.org", "16908") == "DUNNO");  // with the grace
  CHECK(refused(f.from_outside("v@d.org", "x@far.org", "16909"), full));
  f.usage.bytes["v@d.org"] = 2000;
  CHECK(refused(f.from_outside("both@d.org"), full));
  CHECK(refused(f.from_outside("anything@d.org"), full));  // the catch-all

  f.settings.policy.full_mailbox = "reject";
  f.decider->reload(f.settings.policy);
  CHECK(refused(f.from_outside("u@d.org"), "552 5.2.2 <"));
  f.settings.policy.full_mailbox = "accept";
  f.decider->reload(f.settings.policy);
  CHECK(f.from_outside("u@d.org") == "DUNNO");
}

TEST_CASE("what no quota is known of has room") {
  Fixture f;
  f.tables->add_rule(RuleKind::Quota, "@d.org", "1K");
  f.tables->add_rule(RuleKind::Quota, "v@d.org", "0");
  f.tables->add_rule(RuleKind::Quota, "a@d.org", "1K");
  f.start();
  f.usage.bytes = {{"u@d.org", 2000}, {"v@d.org", 2000}};
  CHECK(refused(f.from_outside("u@d.org"), "452"));
  CHECK(f.from_outside("v@d.org") == "DUNNO");
  f.usage.bytes.clear();
  CHECK(f.from_outside("u@d.org") == "DUNNO");  // the store cannot be asked
}

TEST_CASE("limits go by configuration, domain and login, and count once a message") {
  Fixture f;
  f.settings.policy.limits = {"recipients 3/1h"};
  f.settings.policy.at_limit = "reject";
  f.tables->add_rule(RuleKind::Limit, "v@d.org", "recipients 5/1h");
  f.tables->add_rule(RuleKind::Limit, "v@d.org", "nonsense");
  f.start();
  for (const char* recipient : {"1@far.org", "2@far.org"}) CHECK(f.from("u@d.org", "u@d.org", recipient) == "DUNNO");
  CHECK(f.end("u@d.org", "2") == "DUNNO");
  CHECK(f.told.empty());
  CHECK(refused(f.end("u@d.org", "2"), "550 5.7.1 "));
  CHECK(f.told == std::vector<std::string>{"u@d.org"});
  CHECK(refused(f.end("u@alias.org", "2"), "550 5.7.1 "));  // the same login
  CHECK(f.end("u@d.org", "1") == "DUNNO");
  CHECK(f.told.size() == 1);
  CHECK(f.end("v@d.org", "5") == "DUNNO");
  CHECK(refused(f.end("v@d.org", "1"), "550 5.7.1 "));
  CHECK(f.end("", "100") == "DUNNO");  // nobody has logged in
}

TEST_CASE("without recipient_count the gathered recipients count") {
  Fixture f;
  f.settings.policy.limits = {"recipients 2/1h"};
  f.settings.policy.at_limit = "defer";
  f.start();
  for (const char* recipient : {"1@far.org", "2@far.org", "1@far.org", "3@far.org"}) {
    CHECK(f.from("u@d.org", "u@d.org", recipient) == "DUNNO");
  }
  CHECK(refused(f.end("u@d.org", "0"), "450 4.7.1 "));
}

TEST_CASE("trouble fails open or closed as configured") {
  Fixture f;
  f.start();
  f.tables->down = true;
  SECTION("open") {
    CHECK(f.from("u@d.org", "u@d.org") == "DUNNO");
    CHECK(f.from_outside("u@d.org") == "DUNNO");
  }
  SECTION("closed") {
    f.settings.policy.on_trouble = "defer";
    f.decider->reload(f.settings.policy);
    CHECK(refused(f.from("u@d.org", "u@d.org"), "451 4.3.0"));
    CHECK(refused(f.from_outside("u@d.org"), "451 4.3.0"));
  }
}

TEST_CASE("other states are none of its business") {
  Fixture f;
  f.start();
  for (const char* state : {"CONNECT", "EHLO", "HELO", "DATA", "VRFY", "ETRN", "", "junk"}) {
    policy::Request request = Fixture::request("nobody@far.org", "x@far.org", "u@d.org", "");
    request.state = state;
    CHECK(f.ask(request) == "DUNNO");
  }
}
