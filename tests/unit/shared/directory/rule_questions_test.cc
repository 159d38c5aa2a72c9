// Questions about rules: the directory's side, in health and out of it.
#include "tests/support/allocations.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/shared/directory/directory_fixture.h"

using namespace vmail::directory;
using namespace vmail::directory::test;
using Kind = RuleKind;

TEST_CASE("a rule is answered from memory, for any domain") {
  Fixture f;
  f.tables->add_rule(Kind::SenderBcc, "u@d.org", "copy@x.org");
  f.tables->add_rule(Kind::SenderBcc, "@foreign.org", "all@x.org");
  f.tables->add_rule(Kind::Transport, ".relay.org", "smtp:[x.org]");
  f.tables->add_rule(Kind::SenderRelay, "<>", "[bounce.org]");
  f.tables->add_rule(Kind::ExternalOut, "d.org", "no");
  f.open();
  CHECK(text(rule(f, Kind::SenderBcc, "U+ext@D.org")) == "copy@x.org !");
  CHECK(text(rule(f, Kind::SenderBcc, "u@alias.org")) == "copy@x.org !");
  CHECK(text(rule(f, Kind::SenderBcc, "anybody@foreign.org")) == "all@x.org !");
  CHECK(text(rule(f, Kind::SenderBcc, "other@d.org")) == "- !");
  CHECK(text(rule(f, Kind::Transport, "u@a.b.relay.org")) == "smtp:[x.org] !");
  CHECK(text(rule(f, Kind::Transport, "c.relay.org")) == "smtp:[x.org] !");
  CHECK(text(rule(f, Kind::SenderRelay, "<>")) == "[bounce.org] !");
  CHECK(text(rule(f, Kind::ExternalOut, "u@d.org")) == "no !");
  CHECK(text(rule(f, Kind::ExternalOut, "D.ORG")) == "no !");
  for (const char* odd : {"", "*", "@", "@d.org", "a@b@d.org", "\"a b\"@d.org", "\xff@d.org", "\"<>\""}) {
    CAPTURE(odd);
    CHECK(text(rule(f, Kind::SenderBcc, odd)) == "- !");
    CHECK(text(rule(f, Kind::Transport, odd)) == "- !");
  }
  CHECK(text(rule(f, Kind::Transport, (std::string(20000, 'x') + "@d.org").c_str())) == "- !");
  CHECK(f.questions() == 0);
}

TEST_CASE("a canonical address has the extension put back that was taken off") {
  Fixture f;
  f.tables->add_rule(Kind::SenderCanonical, "u@d.org", "first.last@d.org");
  f.tables->add_rule(Kind::SenderCanonical, "@foreign.org", "@d.org");
  f.tables->add_rule(Kind::SenderBcc, "u@d.org", "copy@x.org");
  f.open();
  CHECK(text(rule(f, Kind::SenderCanonical, "u@d.org")) == "first.last@d.org !");
  CHECK(text(rule(f, Kind::SenderCanonical, "u+ext@d.org")) == "first.last+ext@d.org !");
  CHECK(text(rule(f, Kind::SenderCanonical, "a+b@foreign.org")) == "a+b@d.org !");
  CHECK(text(rule(f, Kind::SenderBcc, "u+ext@d.org")) == "copy@x.org !");
  f.settings.addresses.propagate_extension = false;
  f.directory->reload(f.settings);
  CHECK(text(rule(f, Kind::SenderCanonical, "u+ext@d.org")) == "first.last@d.org !");
}

TEST_CASE("a rule with a value that cannot be used is a temporary failure") {
  Fixture f;
  f.tables->add_rule(Kind::Transport, "d.org", "smtp:\n");
  f.tables->add_rule(Kind::Transport, "bad.org", "two\nlines");
  f.tables->add_rule(Kind::Transport, "*", "smtp:");
  f.open();
  CHECK(text(rule(f, Kind::Transport, "u@d.org")) == "smtp: !");
  CHECK(text(rule(f, Kind::Transport, "u@bad.org")).find("fail: a transport rule has a value") == 0);
  CHECK(text(rule(f, Kind::Transport, "bad.org")).find("fail: a transport rule has a value") == 0);
  CHECK(text(rule(f, Kind::Transport, "u@x.org")) == "smtp: !");
}

TEST_CASE("before the first load a rule waits for it") {
  Fixture f;
  f.tables->add_rule(Kind::Quota, "u@d.org", "1G");
  f.directory =
      std::make_unique<Directory>(f.loop, f.clock, f.settings, std::make_unique<FakeDatabase>(f.loop, f.tables), "");
  const auto found = rule(f, Kind::Quota, "u@d.org");
  const auto none = rule(f, Kind::Quota, "v@d.org");
  CHECK(text(found) == "open");
  CHECK(settled(f, found) == "1G");
  CHECK(settled(f, none) == "-");
}

TEST_CASE("rules that cannot be read fail, and nothing else; those known before serve on") {
  Fixture f;
  f.tables->add_rule(Kind::Quota, "u@d.org", "1G");
  f.tables->rules_fault = "no rights";
  f.open();
  CHECK(text(rule(f, Kind::Quota, "u@d.org")) == "fail: no rights !");
  CHECK(text(domain(f, "d.org")) == kOwn);
  f.tables->rules_fault.clear();
  f.directory->flush({});
  f.loop.run_ready();
  CHECK(text(rule(f, Kind::Quota, "u@d.org")) == "1G !");
  f.tables->rules_fault = "no rights";
  f.tables->domains.push_back({"own", "new.org", std::nullopt});
  f.directory->flush({});
  f.loop.run_ready();
  CHECK(text(domain(f, "new.org")) == kOwn);
  CHECK(text(rule(f, Kind::Quota, "u@d.org")) == "1G !");
}

TEST_CASE("a note about rules has them read again, and no row") {
  Fixture f;
  f.tables->feed = true;
  f.settings.directory.feed = true;
  f.settings.directory.feed_interval = 1ms;
  f.tables->add_rule(Kind::Quota, "u@d.org", "1G");
  f.tables->note("start");
  f.open();
  f.run_until([&] { return f.directory->stats().feed.gaps == 1; });
  f.clock.advance(1ms);
  CHECK(settled(f, mailbox(f, "u@d.org")) == "u@d.org");
  const auto questions = f.questions();
  f.tables->rules[0][2] = "2G";
  f.tables->note("rules", Change::Kind::Rules);
  f.run_until([&] { return text(rule(f, Kind::Quota, "u@d.org")) == "2G !"; });
  CHECK(text(rule(f, Kind::Quota, "u@d.org")) == "2G !");
  CHECK(text(mailbox(f, "u@d.org")) == "u@d.org !");
  CHECK(f.questions() == questions);
}

TEST_CASE("rules outlive an outage and a restart in it") {
  vmail::test::TempDir folder;
  Fixture f;
  f.tables->add_rule(Kind::Protect, "all@d.org", "members");
  f.tables->add_rule(Kind::Quota, "u@d.org", "");
  f.open(folder.path());
  f.tables->down = true;
  f.clock.advance(24h * 365);
  CHECK(text(rule(f, Kind::Protect, "all@d.org")) == "members !");
  f.directory.reset();
  f.loop.run_ready();
  f.tables->down = true;
  f.open(folder.path());
  CHECK(text(rule(f, Kind::Protect, "all@d.org")) == "members !");
  CHECK(text(rule(f, Kind::Quota, "u@d.org")).find("fail: a quota rule") == 0);
  CHECK(text(rule(f, Kind::Limit, "u@d.org")) == "- !");
}

TEST_CASE("a table of rules emptied by mistake is not believed; a few may go") {
  Fixture f;
  for (int i = 0; i < 20; ++i) f.tables->add_rule(Kind::Quota, "u" + std::to_string(i) + "@d.org", "1G");
  f.open();
  const auto all = std::exchange(f.tables->rules, {});
  f.directory->flush({});
  f.loop.run_ready();
  CHECK(text(rule(f, Kind::Quota, "u7@d.org")) == "1G !");
  CHECK(f.directory->stats().guard.tripped);
  CHECK(f.directory->stats().guard.what == "a reading of the rules has 0 instead of 20");
  CHECK(f.directory->confirm());
  f.loop.run_ready();
  CHECK(text(rule(f, Kind::Quota, "u7@d.org")) == "- !");
  f.tables->rules.assign(all.begin(), all.begin() + 3);
  f.directory->flush({});
  f.loop.run_ready();
  CHECK(f.directory->stats().domains.rules == 3);
  f.tables->rules.clear();
  f.directory->flush({});
  f.loop.run_ready();
  CHECK(f.directory->stats().domains.rules == 0);
  CHECK_FALSE(f.directory->stats().guard.tripped);
}

TEST_CASE("a rule from memory allocates nothing") {
  Fixture f;
  f.tables->add_rule(Kind::SenderBcc, "@d.org", "a.rather.long.address.that.fits.no.small.string@x.example");
  f.tables->add_rule(Kind::Transport, ".example", "smtp:[a.rather.long.name.of.a.relay.example]:587");
  f.open();
  const auto now = f.clock.now();
  const auto ask_all = [&] {
    bool found = f.directory->recall_rule(Kind::SenderBcc, "Somebody.with.a.long.name+ext@D.org", now)->is_found();
    found = f.directory->recall_rule(Kind::Transport, "somebody@deep.in.a.domain.example", now)->is_found() && found;
    return !f.directory->recall_rule(Kind::Quota, "u@d.org", now)->is_found() && found;
  };
  CHECK(ask_all());
  const auto before = vmail::test::allocations();
  const bool found = ask_all();
  const auto after = vmail::test::allocations();
  CHECK(found);
  CHECK(after == before);
}

TEST_CASE("a refusal by the state of a mailbox is as fresh as the rules") {
  Fixture f;
  f.tables->add_rule(Kind::State, "u@d.org", "no-mail");
  f.open();
  CHECK(text(mailbox(f, "u@d.org")) == "open");  // the first question
  f.loop.run_ready();
  CHECK(text(mailbox(f, "u@d.org")) == "disabled !");
  CHECK(text(credentials(f, "u@d.org")) == "open");
  f.loop.run_ready();
  CHECK(text(credentials(f, "u@d.org")) == "hash !");

  // The rule goes, and nothing has noted it: the cache says no, and a refusal reads again.
  f.tables->rules.clear();
  f.clock.advance(10s);
  CHECK(text(mailbox(f, "u@d.org")) == "disabled !");
  const auto fresh = mailbox(f, "u@d.org", Freshness::FreshForRefusal);
  CHECK(settled(f, fresh) == "u@d.org");

  f.tables->add_rule(Kind::State, "@d.org", "no-login");
  f.directory->flush({});
  f.loop.run_ready();
  const auto login = credentials(f, "u@d.org", Freshness::FreshForRefusal);
  CHECK(settled(f, login) == "disabled");
  f.tables->rules.clear();
  f.clock.advance(10s);
  CHECK(settled(f, credentials(f, "u@d.org", Freshness::FreshForRefusal)) == "hash");
}

TEST_CASE("states of mailboxes while the database is away") {
  Fixture f;
  f.tables->add_rule(Kind::State, "u@d.org", "no-mail");
  f.tables->add_user("v@d.org");
  f.tables->add_rule(Kind::State, "v@d.org", "hold");
  f.open();
  for (const char* address : {"u@d.org", "v@d.org"}) settled(f, mailbox(f, address));
  f.tables->down = true;
  f.clock.advance(std::chrono::hours(2));
  CHECK(settled(f, mailbox(f, "v@d.org")) == "v@d.org");
  CHECK(settled(f, mailbox(f, "u@d.org")) == "disabled !");
  // No refusal for good of what was read so long ago.
  CHECK(settled(f, mailbox(f, "u@d.org", Freshness::FreshForRefusal)).rfind("fail: ", 0) == 0);
}
