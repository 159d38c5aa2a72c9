// The database goes away and comes back, rows change, and the daemon restarts: what is answered then, and from where.
#include "tests/support/allocations.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/shared/directory/directory_fixture.h"

using namespace vmail::directory::test;
using namespace vmail::directory;
using vmail::Outcome;
using vmail::Source;
using vmail::test::allocations;

namespace {

const char* source_of(const ResultPtr<Mailbox>& result) {
  if (!result->outcome) return "open";
  switch (result->outcome->source()) {
    case Source::Memory:
      return "memory";
    case Source::Stale:
      return "stale";
    case Source::Database:
      break;
  }
  return "database";
}

struct Outage : Fixture {
  Outage() {
    settings.database.retry_after = 1ms;
    settings.directory.preload = false;
  }
  // Known, known with an extension, disabled, unknown.
  void warm() {
    for (const char* address : {"u@d.org", "u+ext@d.org", "off@d.org", "nobody@d.org", "u@alias.org"}) {
      mailbox(*this, address);
      aliases(*this, address);
      loop.run_ready();
    }
    credentials(*this, "u@d.org");
    loop.run_ready();
  }
  void fail() {
    tables->down = true;
    // The first that needs the database finds out.
    settled(*this, mailbox(*this, "finds-out@d.org"));
    REQUIRE(text(mailbox(*this, "finds-out@d.org")) == "fail: injected !");
  }
  void come_back() {
    tables->down = false;
    run_until([&] { return text(mailbox(*this, "u@d.org", Freshness::Cached)).find("fail") != 0 && breaker_closed(); });
  }
  bool breaker_closed() {
    return text(mailbox(*this, ("never-" + std::to_string(++asked) + "@d.org").c_str())) == "open";
  }
  int asked = 0;
};

struct Followed : Fixture {
  Followed() {
    clock.tick(1ns);
    tables->feed = true;
    tables->note("first@d.org");
    settings.directory.feed_interval = 1ms;
    settings.directory.preload = false;
    settings.database.retry_after = 1ms;
  }
  void poll() {
    const int before = tables->polls;
    run_until([&] { return tables->polls >= before + 2; });
    loop.run_ready();
  }
};

struct Preloaded : Followed {
  Preloaded() {
    settings.directory.preload = true;
    for (int i = 0; i < 20; ++i) tables->add_user("user" + std::to_string(i) + "@d.org");
  }
  void load() {
    open();
    run_until([&] { return std::string(directory->stats().preload.state) == "loaded"; });
    REQUIRE(directory->stats().preload.rows == 23);
    clock.advance(1ms);
  }
};

}  // namespace

TEST_CASE("what is past its lifetime is served while the database cannot be asked") {
  Outage f;
  f.open();
  f.warm();
  f.fail();
  f.clock.advance(61s);
  const std::size_t asked = f.questions();
  CHECK(text(mailbox(f, "u@d.org")) == "u@d.org !");
  CHECK(std::string(source_of(mailbox(f, "u@d.org"))) == "stale");
  CHECK(text(mailbox(f, "u+ext@d.org")) == "u@d.org !");
  CHECK(text(mailbox(f, "off@d.org")) == "disabled !");
  CHECK(text(mailbox(f, "nobody@d.org")) == "- !");
  CHECK(text(aliases(f, "u@alias.org")) == "u@d.org !");
  CHECK(text(mailbox(f, "x@foreign.org")) == "- !");
  CHECK(text(mailbox(f, "never@d.org")) == "fail: injected !");
  CHECK(f.questions() == asked);  // nobody waits for a dead database
  CHECK(f.directory->stats().stale.serving);
  CHECK(f.directory->stats().stale.answers >= 6);
  CHECK_FALSE(f.directory->stats().database.answers);

  SECTION("an unknown address for ten minutes") {
    f.clock.advance(10min - 62s);
    CHECK(text(mailbox(f, "nobody@d.org")) == "- !");
    f.clock.advance(2s);
    CHECK(text(mailbox(f, "nobody@d.org")) == "fail: injected !");
    CHECK(text(mailbox(f, "u+ext@d.org")) == "u@d.org !");  // its step that found nothing is as old
  }
  SECTION("a known one for a week, with all its steps") {
    f.clock.advance(24h * 7 - 62s);
    CHECK(text(mailbox(f, "u+ext@d.org")) == "u@d.org !");
    CHECK(text(aliases(f, "u+ext@d.org")) == "- !");
    CHECK(text(mailbox(f, "off@d.org")) == "disabled !");
    f.clock.advance(2s);
    CHECK(text(mailbox(f, "u+ext@d.org")) == "fail: injected !");
    CHECK(text(mailbox(f, "off@d.org")) == "fail: injected !");
    CHECK(text(domain(f, "d.org")) == kOwn);  // the domains without end
    CHECK(text(mailbox(f, "x@foreign.org")) == "- !");
  }
  SECTION("a permanent refusal never") {
    CHECK(text(mailbox(f, "nobody@d.org", Freshness::FreshForRefusal)) == "fail: injected !");
    CHECK(text(mailbox(f, "off@d.org", Freshness::FreshForRefusal)) == "fail: injected !");
    CHECK(text(mailbox(f, "x@foreign.org", Freshness::FreshForRefusal)) == "fail: injected !");
    CHECK(text(mailbox(f, "u@d.org", Freshness::FreshForRefusal)) == "u@d.org !");
  }
  SECTION("the hash of a login for four hours, but not when it did not match") {
    CHECK(text(credentials(f, "u@d.org")) == "hash !");
    CHECK(text(credentials(f, "u@d.org", Freshness::FreshForRefusal)) == "fail: injected !");
    CHECK(text(credentials(f, "never@d.org")) == "fail: injected !");
    f.clock.advance(4h - 62s);
    CHECK(text(credentials(f, "u@d.org")) == "hash !");
    f.clock.advance(2s);
    CHECK(text(credentials(f, "u@d.org")) == "fail: injected !");
  }
  SECTION("until it is back") {
    f.tables->add_user("never@d.org");
    f.come_back();
    CHECK(settled(f, mailbox(f, "never@d.org")) == "never@d.org");
    CHECK_FALSE(f.directory->stats().stale.serving);
    CHECK(f.directory->stats().database.answers);
  }
}

TEST_CASE("0 switches each stale window off") {
  Outage f;
  f.settings.directory.stale_known = 0ms;
  f.settings.directory.stale_unknown = 0ms;
  f.settings.directory.stale_credentials = 0ms;
  f.settings.directory.stale_domains = 0ms;
  f.open();
  f.warm();
  f.fail();
  f.clock.advance(61s);
  CHECK(text(mailbox(f, "u@d.org")) == "fail: injected !");
  CHECK(text(mailbox(f, "nobody@d.org")) == "fail: injected !");
  CHECK(text(credentials(f, "u@d.org")) == "fail: injected !");
  CHECK(text(domain(f, "d.org")) == kOwn);
  f.clock.advance(600s);
  CHECK(text(domain(f, "d.org")) == "fail: injected !");
}

TEST_CASE("who waits when the database fails gets what was known before") {
  Outage f;
  f.open();
  f.warm();
  f.clock.advance(61s);
  f.tables->frozen = true;
  const auto known = mailbox(f, "u@d.org");
  const auto again = aliases(f, "u@d.org");
  const auto never = mailbox(f, "never@d.org");
  CHECK(text(known) == "open");
  f.tables->down = true;
  f.tables->release();
  CHECK(text(known) == "u@d.org");
  CHECK(std::string(source_of(known)) == "stale");
  CHECK(text(again) == "-");
  CHECK(text(never) == "fail: injected");
}

TEST_CASE("a single failure among answers costs nobody else") {
  Outage f;
  f.clock.tick(1ns);
  f.open();
  f.tables->frozen = true;
  const auto slow = mailbox(f, "slow@d.org");
  const auto held = std::exchange(f.tables->held, {});
  f.tables->frozen = false;
  CHECK(settled(f, mailbox(f, "u@d.org")) == "u@d.org");
  f.tables->down = true;
  for (const auto& answer : held) answer();
  f.tables->down = false;
  CHECK(text(slow) == "fail: injected");
  CHECK(settled(f, mailbox(f, "other@d.org")) == "-");
}

TEST_CASE("the feed: a change is seen, the rest stays for an hour") {
  Followed f;
  f.open();
  f.poll();
  CHECK(std::string(f.directory->stats().feed.state) == "followed");
  f.clock.advance(1ms);
  CHECK(settled(f, mailbox(f, "u@d.org")) == "u@d.org");
  CHECK(settled(f, mailbox(f, "nobody@d.org")) == "-");
  CHECK(settled(f, credentials(f, "u@d.org")) == "hash");
  f.clock.advance(59min);
  f.poll();
  CHECK(text(mailbox(f, "u@d.org")) == "u@d.org !");
  CHECK(text(mailbox(f, "nobody@d.org")) == "- !");

  SECTION("a row is there") {
    f.tables->add_user("nobody@d.org");
    f.tables->note("nobody@d.org");
    f.run_until([&] { return text(mailbox(f, "nobody@d.org")) == "nobody@d.org !"; });
    CHECK(text(mailbox(f, "nobody@d.org")) == "nobody@d.org !");
    CHECK(f.directory->stats().feed.changes == 1);
  }
  SECTION("a password has changed: the new hash is there before anybody asks") {
    f.tables->credentials[0][2] = "new";
    f.tables->note("u@d.org");
    f.poll();
    f.tables->down = true;
    CHECK(text(credentials(f, "u@d.org")) == "new !");
  }
  SECTION("a password has changed and cannot be read: an old hash is not even stale") {
    f.tables->note("u@d.org");
    const auto before = f.tables->credential_questions;
    f.tables->credentials_down = true;
    f.run_until([&] { return f.tables->credential_questions > before; });
    f.loop.run_ready();
    CHECK(settled(f, credentials(f, "u@d.org")) == "fail: injected");
  }
  SECTION("a domain") {
    f.tables->domains.push_back({"own", "new.org", std::nullopt});
    f.tables->add_user("x@new.org");
    f.tables->remove("u@d.org");
    f.tables->note("new.org", Change::Kind::Domain);
    f.tables->note("d.org", Change::Kind::Domain);
    f.run_until([&] { return text(domain(f, "new.org")) == kOwn; });
    f.clock.advance(1ms);
    CHECK(settled(f, mailbox(f, "x@new.org")) == "x@new.org");
    CHECK(settled(f, mailbox(f, "u@d.org")) == "-");
  }
  SECTION("a change while its row is on its way") {
    f.tables->frozen = true;
    const auto before = mailbox(f, "late@d.org");
    const auto held = std::exchange(f.tables->held, {});
    f.tables->frozen = false;
    f.tables->add_user("late@d.org");
    f.tables->note("late@d.org");
    f.poll();
    for (const auto& answer : held) answer();
    CHECK(text(before) == "-");
    f.clock.advance(1ms);
    CHECK(settled(f, mailbox(f, "late@d.org")) == "late@d.org");
  }
  SECTION("another history: everything is asked again") {
    f.tables->remove("u@d.org");
    f.tables->feed_identity = "restored";
    f.run_until([&] { return f.directory->stats().feed.gaps == 2; });
    f.clock.advance(1ms);
    CHECK(settled(f, mailbox(f, "u@d.org")) == "-");
  }
  SECTION("no triggers any more: the lifetimes alone hold") {
    f.tables->feed = false;
    f.run_until([&] { return std::string(f.directory->stats().feed.state) == "unavailable"; });
    f.clock.advance(1ms);
    CHECK(settled(f, mailbox(f, "u@d.org")) == "u@d.org");
    f.clock.advance(60s);
    CHECK(text(mailbox(f, "u@d.org")) == "open");
  }
}

TEST_CASE("preloaded: nothing is asked, unknown addresses neither") {
  Preloaded f;
  f.load();
  CHECK(text(mailbox(f, "user7+x@alias.org")) == "user7@d.org !");
  CHECK(text(aliases(f, "a@d.org")) == "u@d.org !");
  for (int i = 0; i < 100; ++i) CHECK(text(mailbox(f, ("flood" + std::to_string(i) + "@d.org").c_str())) == "- !");
  CHECK(f.questions() == 0);

  SECTION("an outage makes no difference for days") {
    f.tables->down = true;
    f.clock.advance(61s);
    settled(f, mailbox(f, "finds-out@d.org"));
    f.clock.advance(24h * 7 - 62s);
    CHECK(text(mailbox(f, "user7@d.org")) == "user7@d.org !");
    CHECK(std::string(source_of(mailbox(f, "user7@d.org"))) == "stale");
    f.clock.advance(2s);
    CHECK(text(mailbox(f, "user7@d.org")) == "fail: injected !");
  }
  SECTION("a change is read at once") {
    f.tables->add_user("new@d.org");
    f.tables->note("new@d.org");
    f.run_until([&] { return f.questions() == 1; });
    f.loop.run_ready();
    CHECK(text(mailbox(f, "new@d.org")) == "new@d.org !");
    CHECK(f.questions() == 1);
  }
  SECTION("too large for its bound: row by row") {
    f.directory.reset();
    f.loop.run_ready();
    f.settings.directory.preload_size.count = 1 << 16;
    for (int i = 0; i < 5000; ++i) f.tables->add_user("more" + std::to_string(i) + "@d.org");
    f.tables->down = false;
    f.open();
    f.run_until([&] { return !f.directory->stats().preload.reason.empty() && f.tables->loads == 2; });
    f.loop.run_ready();
    CHECK(std::string(f.directory->stats().preload.state) == "off");
    CHECK(f.directory->stats().preload.reason == "more than 65536 bytes");
    CHECK(settled(f, mailbox(f, "more4711@d.org")) == "more4711@d.org");
  }
}

TEST_CASE("a table emptied by mistake is not believed") {
  Preloaded f;
  f.load();
  SECTION("truncated: a reading of everything tells") {
    f.tables->addresses.clear();
    f.tables->credentials.clear();
    f.tables->feed_identity = "truncated";  // a gap, so that everything is read anew
  }
  SECTION("row by row: the feed tells") {
    for (int i = 0; i < 20; ++i) {
      const std::string address = "user" + std::to_string(i) + "@d.org";
      f.tables->remove(address);
      f.tables->note(address);
    }
  }
  f.run_until([&] { return f.directory->stats().guard.tripped; });
  REQUIRE(f.directory->stats().guard.tripped);
  f.clock.advance(1s);
  f.loop.run_ready();
  for (int i = 0; i < 20; ++i) {
    const std::string address = "user" + std::to_string(i) + "@d.org";
    CAPTURE(address);
    CHECK(settled(f, mailbox(f, address.c_str())).find(address) == 0);
    // Delivery does not bounce on it either.
    CHECK(settled(f, mailbox(f, address.c_str(), Freshness::FreshForRefusal)).find(address) == 0);
  }
  CHECK(f.directory->confirm());
  f.clock.advance(1s);
  f.run_until([&] { return settled(f, mailbox(f, "user3@d.org")).find('-') == 0; });
  CHECK(settled(f, mailbox(f, "user3@d.org")).find('-') == 0);
  CHECK_FALSE(f.directory->stats().guard.tripped);
}

TEST_CASE("the domains emptied by mistake") {
  Followed f;
  f.settings.directory.domains_refresh = 1ms;
  f.open();
  f.tables->domains.clear();
  f.run_until([&] { return f.directory->stats().guard.tripped; });
  CHECK(f.directory->stats().guard.what.find("a reading of the domains has 0 instead of 3") == 0);
  CHECK(text(domain(f, "d.org")) == kOwn);
  CHECK(f.directory->confirm());
  f.run_until([&] { return text(domain(f, "d.org")) == kNone; });
  CHECK(text(domain(f, "d.org")) == kNone);
}

TEST_CASE("a restart during an outage is as warm as before") {
  vmail::test::TempDir folder;
  Outage f;
  f.open(folder.path().string());
  f.warm();
  f.directory.reset();
  f.loop.run_ready();
  f.tables->down = true;
  f.clock.advance(24h);
  f.open(folder.path().string());
  settled(f, mailbox(f, "finds-out@d.org"));
  CHECK(text(mailbox(f, "u+ext@d.org")) == "u@d.org !");
  CHECK(text(aliases(f, "u@alias.org")) == "u@d.org !");
  CHECK(text(mailbox(f, "off@d.org")) == "disabled !");
  CHECK(text(mailbox(f, "x@foreign.org")) == "- !");
  CHECK(text(domain(f, "d.org")) == kOwn);
  CHECK(text(mailbox(f, "nobody@d.org")) == "fail: injected !");
  CHECK(text(credentials(f, "u@d.org")) == "fail: injected !");  // no hash on disk
}

TEST_CASE("a restart goes on where the feed was") {
  vmail::test::TempDir folder;
  Preloaded f;
  f.open(folder.path().string());
  f.run_until([&] { return std::string(f.directory->stats().preload.state) == "loaded"; });
  f.clock.advance(1ms);
  f.poll();
  f.directory.reset();
  f.loop.run_ready();
  f.tables->down = false;  // it was told to stop
  f.clock.advance(10min);
  const int loads = f.tables->loads;
  SECTION("nothing has happened: nothing is read") {
    f.open(folder.path().string());
    f.poll();
    CHECK(text(mailbox(f, "user3@d.org")) == "user3@d.org !");
    CHECK(text(mailbox(f, "nobody@d.org")) == "- !");
    CHECK(f.questions() == 0);
    CHECK(f.directory->stats().feed.gaps == 0);
  }
  SECTION("what has changed meanwhile is read") {
    f.tables->remove("user3@d.org");
    f.tables->note("user3@d.org");
    f.open(folder.path().string());
    f.run_until([&] { return f.questions() >= 1; });
    f.loop.run_ready();
    CHECK(text(mailbox(f, "user3@d.org")) == "- !");
    CHECK(text(mailbox(f, "user4@d.org")) == "user4@d.org !");
  }
  SECTION("another history: all of it") {
    f.tables->feed_identity = "restored";
    f.open(folder.path().string());
    f.run_until([&] { return f.tables->loads > loads; });
    CHECK(f.tables->loads > loads);
    CHECK(f.directory->stats().feed.gaps == 1);
  }
}

TEST_CASE("a hit allocates nothing") {
  bool preloaded = false;
  SECTION("from the cache") {}
  SECTION("from what is preloaded") {
    preloaded = true;
  }
  Preloaded f;
  f.settings.directory.preload = preloaded;
  f.tables->add_user("somebody.with.a.long.name@d.org");
  f.tables->add_alias("everybody.who.works.here@d.org", "somebody.with.a.long.name@d.org");
  f.open();
  f.poll();
  f.clock.advance(1ms);
  if (preloaded) f.run_until([&] { return std::string(f.directory->stats().preload.state) == "loaded"; });
  f.clock.advance(1ms);
  const char* const addresses[] = {"somebody.with.a.long.name@d.org", "somebody.with.a.long.name+extension@alias.org",
                                   "everybody.who.works.here@d.org", "nobody.with.such.a.long.name@d.org",
                                   "somebody.with.a.long.name@foreign.example.org"};
  const auto ask_all = [&] {
    for (const char* address : addresses) {
      REQUIRE(f.directory->recall_mailbox(address, f.clock.now()));
      REQUIRE(f.directory->recall_aliases(address, f.clock.now()));
    }
    REQUIRE(f.directory->recall_domain("a-domain-of-more-than-fifteen-characters.example.org", f.clock.now()));
  };
  for (const char* address : addresses) settled(f, mailbox(f, address));
  ask_all();
  const auto before = allocations();
  for (const char* address : addresses) {
    static_cast<void>(f.directory->recall_mailbox(address, f.clock.now()));
    static_cast<void>(f.directory->recall_aliases(address, f.clock.now()));
  }
  static_cast<void>(f.directory->recall_domain("a-domain-of-more-than-fifteen-characters.example.org", f.clock.now()));
  CHECK(allocations() == before);
}
