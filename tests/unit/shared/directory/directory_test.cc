#include "tests/unit/shared/directory/directory_fixture.h"

using namespace vmail::directory::test;
using namespace vmail::directory;
using vmail::AddressList;
using vmail::Outcome;

TEST_CASE("domains are answered from memory, also without a database") {
  Fixture f;
  f.tables->domains.push_back({"own", "bücher.example", std::nullopt});
  f.open();
  f.tables->down = true;
  CHECK(text(domain(f, "d.org")) == kOwn);
  CHECK(text(domain(f, "D.ORG")) == kOwn);
  CHECK(text(domain(f, "relay.org")) == kRelay);
  CHECK(text(domain(f, "alias.org")) == kAlias);
  CHECK(text(domain(f, "BÜCHER.example")) == kOwn);
  CHECK(text(domain(f, "xn--bcher-kva.example")) == kOwn);
  for (const std::string& odd : std::initializer_list<std::string>{"foreign.org", "", ".", "[192.0.2.1]", "d.org ",
                                                                   "a@d.org", "\xff", "sub.d.org"}) {
    CAPTURE(odd);
    CHECK(text(domain(f, odd)) == kNone);
  }
  CHECK(text(domain(f, std::string(20000, 'x'))) == kNone);
  CHECK(f.tables->domain_questions == 1);
}

TEST_CASE("addresses that are not ours need no query, also without a database") {
  Fixture f;
  f.open();
  f.tables->down = true;
  const std::string huge = std::string(20000, 'x') + "@d.org";
  for (const char* odd : {"x@foreign.org", "x@relay.org", "d.org", "", "@", "@d.org", "x@", "a@b@d.org", "\"a@d.org",
                          "x@[192.0.2.1]", "\xff@d.org", "u@d.org\n", huge.c_str()}) {
    CAPTURE(odd);
    CHECK(text(mailbox(f, odd)) == "- !");
    CHECK(text(aliases(f, odd)) == "- !");
  }
  CHECK(f.questions() == 0);
}

TEST_CASE("one statement an address, then memory") {
  Fixture f;
  f.open();
  const auto first = aliases(f, "u+x@alias.org");
  CHECK(text(first) == "open");
  CHECK(settled(f, first) == "u+x@d.org");
  CHECK(f.questions() == 1);
  CHECK(f.tables->address_questions[0].size() == 6);
  CHECK(text(aliases(f, "u+x@alias.org")) == "u+x@d.org !");
  CHECK(text(mailbox(f, "U+X@Alias.org")) == "u@d.org !");
  CHECK(text(mailbox(f, "u@d.org")) == "u@d.org !");
  CHECK(f.questions() == 1);
  CHECK(settled(f, mailbox(f, "nobody@d.org")) == "-");
  CHECK(text(aliases(f, "nobody@d.org")) == "- !");
  CHECK(settled(f, mailbox(f, "off@d.org")) == "disabled");
  CHECK(text(aliases(f, "off@d.org")) == "disabled !");
  CHECK(f.questions() == 3);
}

TEST_CASE("rows are asked again after their lifetimes") {
  Fixture f;
  f.open();
  CHECK(settled(f, mailbox(f, "u@d.org")) == "u@d.org");
  CHECK(settled(f, mailbox(f, "nobody@d.org")) == "-");
  f.clock.advance(15s);
  CHECK(text(mailbox(f, "u@d.org")) == "u@d.org !");
  f.tables->add_user("nobody@d.org");
  CHECK(settled(f, mailbox(f, "nobody@d.org")) == "nobody@d.org");
  f.clock.advance(45s);
  CHECK(text(mailbox(f, "u@d.org")) == "open");
}

TEST_CASE("one query in flight, however many ask") {
  Fixture f;
  f.open();
  f.tables->frozen = true;
  const auto a = mailbox(f, "u@d.org");
  const auto b = mailbox(f, "U@D.org");
  const auto c = aliases(f, "u@d.org");
  const auto other = mailbox(f, "nobody@d.org");
  CHECK(f.questions() == 2);
  f.loop.run_ready();
  CHECK(text(a) == "open");
  f.tables->release();
  CHECK(text(a) == "u@d.org");
  CHECK(text(b) == "u@d.org");
  CHECK(text(c) == "-");
  CHECK(text(other) == "-");
  CHECK(f.questions() == 2);
}

TEST_CASE("addresses that come while each connection is busy share a statement") {
  Fixture f;
  f.settings.database.connections = 2;
  f.open();
  f.tables->frozen = true;
  const auto a = mailbox(f, "u@d.org");
  const auto b = mailbox(f, "off@d.org");
  CHECK(f.questions() == 2);
  const auto c = mailbox(f, "nobody@d.org");
  const auto d = aliases(f, "a@d.org");
  const auto e = mailbox(f, "nobody@d.org");
  CHECK(f.questions() == 2);
  auto held = std::exchange(f.tables->held, {});
  held.front()();
  CHECK(text(a) == "u@d.org");
  CHECK(text(b) == "open");
  CHECK(f.questions() == 3);
  CHECK(f.tables->address_questions[2] == std::vector<std::string>{"@d.org", "a@d.org", "nobody@d.org"});
  held.back()();
  f.tables->release();
  CHECK(text(b) == "disabled");
  CHECK(text(c) == "-");
  CHECK(text(d) == "u@d.org");
  CHECK(text(e) == "-");
  CHECK(f.questions() == 3);
}

TEST_CASE("what is current in memory is not asked for again, unless it is to be fresh") {
  Fixture f;
  f.settings.directory.not_found_lifetime = 1h;
  f.tables->add_alias("@d.org", "u@d.org");
  f.open();
  CHECK(settled(f, aliases(f, "u@d.org")) == "-");
  CHECK(f.tables->address_questions.back() == std::vector<std::string>{"u@d.org", "@d.org"});
  CHECK(settled(f, aliases(f, "v+x@d.org")) == "u@d.org");
  CHECK(f.tables->address_questions.back() == std::vector<std::string>{"v+x@d.org", "v@d.org"});
  CHECK(settled(f, mailbox(f, "v@alias.org")) == "-");
  CHECK(f.tables->address_questions.back() == std::vector<std::string>{"v@alias.org", "@alias.org"});
  f.clock.advance(2s);
  CHECK(settled(f, mailbox(f, "v@d.org", Freshness::FreshForRefusal)) == "-");
  CHECK(f.tables->address_questions.back() == std::vector<std::string>{"v@d.org", "@d.org"});
}

TEST_CASE("a careful question may join one that left rows out: what is old is then asked for") {
  Fixture f;
  f.open();
  CHECK(settled(f, aliases(f, "u@alias.org")) == "u@d.org");
  f.clock.advance(2s);
  f.tables->frozen = true;
  const auto hasty = mailbox(f, "off@alias.org");
  const auto careful = mailbox(f, "off@alias.org", Freshness::FreshForRefusal);
  CHECK(f.questions() == 2);
  f.tables->release();
  f.loop.run_ready();
  CHECK(text(hasty) == "disabled");
  CHECK(text(careful) == "disabled");
}

TEST_CASE("who waits for a statement of a database that fails does not wait for another") {
  Fixture f;
  f.settings.database.connections = 2;
  f.open();
  f.tables->frozen = true;
  const auto a = mailbox(f, "u@d.org");
  const auto b = mailbox(f, "off@d.org");
  const auto c = mailbox(f, "nobody@d.org");
  f.clock.advance(1s);
  f.tables->down = true;
  auto held = std::exchange(f.tables->held, {});
  held.front()();
  CHECK(text(a) == "fail: injected");
  CHECK(text(c) == "fail: injected");
  held.back()();
  CHECK(text(b) == "fail: injected");
  CHECK(f.questions() == 2);
}

TEST_CASE("who is called back may ask again") {
  Fixture f;
  f.open();
  std::string second = "open";
  CHECK_FALSE(f.directory->mailbox("u@d.org", Freshness::Cached, [&](Outcome<Mailbox>) {
    // Known by now.
    auto answer = f.directory->mailbox("u@d.org", Freshness::Cached, nullptr);
    REQUIRE(answer);
    f.directory->flush({});
    CHECK_FALSE(
        f.directory->mailbox("u@d.org", Freshness::Cached, [&](Outcome<Mailbox> again) { second = text(again); }));
  }));
  f.loop.run_ready();
  CHECK(second == "u@d.org");
  CHECK(f.questions() == 2);
}

TEST_CASE("a fault of the database is never 'no such user', and is not remembered") {
  Fixture f;
  f.settings.database.retry_after = 1ms;
  f.open();
  f.tables->down = true;
  CHECK(settled(f, mailbox(f, "u@d.org")) == "fail: injected");
  CHECK(text(aliases(f, "a@d.org")) == "fail: injected !");
  CHECK(text(credentials(f, "u@d.org")) == "fail: injected !");
  f.tables->down = false;
  f.run_until([&] { return text(mailbox(f, "u@d.org")) == "u@d.org !"; });
  CHECK(text(mailbox(f, "u@d.org")) == "u@d.org !");
}

TEST_CASE("bad data is a temporary failure") {
  Fixture f;
  f.tables->add_user("U@d.org");
  f.open();
  CHECK(settled(f, mailbox(f, "u@d.org")).find("fail: there are two mailboxes") == 0);
  CHECK(settled(f, credentials(f, "u@d.org")).find("fail: there are two mailboxes") == 0);
}

TEST_CASE("a result from before a flush is answered but not kept") {
  Fixture f;
  f.open();
  f.tables->frozen = true;
  const auto before = mailbox(f, "new@d.org");
  f.tables->add_user("new@d.org");
  f.directory->flush({"new@d.org"});
  f.clock.advance(1ms);
  // Who asks after the flush does not join the query from before it.
  const auto after = mailbox(f, "new@d.org");
  CHECK(f.questions() == 2);
  f.tables->release();
  CHECK(text(before) == "-");
  CHECK(text(after) == "new@d.org");
  CHECK(text(mailbox(f, "new@d.org")) == "new@d.org !");
}

TEST_CASE("flushing one address, a domain, everything") {
  Fixture f;
  f.open();
  const auto warm = [&] {
    for (const char* address : {"u@d.org", "off@d.org", "a@d.org"}) mailbox(f, address);
    f.loop.run_ready();
  };
  const auto is_warm = [&](const char* address) { return text(mailbox(f, address)) != "open"; };
  warm();
  f.directory->flush({"U@D.org", "no key"});
  CHECK_FALSE(is_warm("u@d.org"));
  CHECK(is_warm("off@d.org"));
  warm();
  f.directory->flush({"@d.org"});
  CHECK_FALSE(is_warm("u@d.org"));
  CHECK_FALSE(is_warm("off@d.org"));
  warm();
  f.directory->flush({});
  CHECK_FALSE(is_warm("a@d.org"));
}

TEST_CASE("a flush reads the domains again, also when a reading is under way") {
  Fixture f;
  f.tables->frozen = true;
  f.open();
  f.tables->domains.push_back({"own", "new.org", std::nullopt});
  f.directory->flush({});
  f.tables->release();  // the reading from before the flush
  CHECK(text(domain(f, "new.org")) == kNone);
  f.run_until([&] { return f.tables->domain_questions == 2; });
  f.loop.run_ready();
  CHECK(text(domain(f, "new.org")) == kOwn);
}

TEST_CASE("the domains are read again now and then; a failed reading keeps the old sets") {
  Fixture f;
  f.settings.directory.domains_refresh = 1ms;
  f.settings.database.retry_after = 1ms;
  f.open();
  f.tables->domains.push_back({"own", "new.org", std::nullopt});
  f.run_until([&] { return text(domain(f, "new.org")) == kOwn; });
  CHECK(text(domain(f, "new.org")) == kOwn);

  f.tables->down = true;
  f.tables->domains.pop_back();
  const int before = f.tables->domain_questions;
  f.run_until([&] { return f.tables->domain_questions >= before + 3; });
  CHECK(text(domain(f, "new.org")) == kOwn);
  f.tables->down = false;
  f.run_until([&] { return text(domain(f, "new.org")) == kNone; });
  CHECK(text(domain(f, "new.org")) == kNone);
}

TEST_CASE("before the first load questions wait for it") {
  Fixture f;
  f.tables->frozen = true;
  f.open();
  const auto a = domain(f, "d.org");
  const auto b = mailbox(f, "u@d.org");
  const auto c = mailbox(f, "x@foreign.org");
  const auto d = credentials(f, "u@d.org");
  const auto e = mailbox(f, "x@foreign.org", Freshness::FreshForRefusal);
  CHECK(text(a) == "open");
  f.tables->release();
  f.loop.run_ready();
  CHECK(text(a) == "0");
  CHECK(text(b) == "u@d.org");
  CHECK(text(c) == "-");
  CHECK(text(d) == "hash");
  CHECK(text(e) == "-");
  CHECK(f.tables->domain_questions == 1);
}

TEST_CASE("a first load that fails is tried again, and who waits is told at the deadline") {
  Fixture f;
  f.settings.database.retry_after = 1ms;
  f.settings.database.deadline = 5ms;
  f.tables->down = true;
  f.open();
  const auto late = mailbox(f, "u@d.org");
  const auto late_domain = domain(f, "foreign.org");
  f.run_until([&] { return f.tables->domain_questions >= 3; });
  CHECK(text(late) == "open");
  f.clock.advance(5ms);
  f.run_until([&] { return text(late) != "open"; });
  CHECK(text(late).find("fail: the domains could not be read in time; the last failure was: injected") == 0);
  CHECK(text(late_domain).find("fail: ") == 0);
  const auto in_time = domain(f, "d.org");
  f.tables->down = false;
  f.run_until([&] { return text(in_time) != "open"; });
  CHECK(text(in_time) == "0");
}

TEST_CASE("a refusal rests on rows of the last second") {
  Fixture f;
  f.open();
  constexpr auto kFresh = Freshness::FreshForRefusal;
  CHECK(settled(f, mailbox(f, "nobody@d.org")) == "-");
  CHECK(settled(f, mailbox(f, "off@d.org")) == "disabled");
  CHECK(settled(f, mailbox(f, "u@d.org")) == "u@d.org");

  f.clock.advance(1s);
  CHECK(text(mailbox(f, "nobody@d.org", kFresh)) == "- !");
  f.clock.advance(1ms);
  SECTION("what was found may be older") {
    CHECK(text(mailbox(f, "u@d.org", kFresh)) == "u@d.org !");
  }
  SECTION("what was not is read again") {
    f.tables->add_user("nobody@d.org");
    CHECK(text(mailbox(f, "nobody@d.org")) == "- !");
    CHECK(settled(f, mailbox(f, "nobody@d.org", kFresh)) == "nobody@d.org");
    CHECK(settled(f, mailbox(f, "off@d.org", kFresh)) == "disabled");
  }
  SECTION("and is temporary when it cannot be") {
    f.tables->down = true;
    CHECK(settled(f, mailbox(f, "nobody@d.org", kFresh)) == "fail: injected");
    CHECK(text(mailbox(f, "off@d.org", kFresh)) == "fail: injected !");
    CHECK(text(mailbox(f, "u@d.org", kFresh)) == "u@d.org !");
    CHECK(text(mailbox(f, "nobody@d.org")) == "- !");
  }
  SECTION("a query that took off too long ago is not joined") {
    f.clock.advance(15s);
    f.tables->frozen = true;
    const auto slow = mailbox(f, "nobody@d.org");
    f.clock.advance(1001ms);
    f.tables->add_user("nobody@d.org");
    const auto fresh = mailbox(f, "nobody@d.org", kFresh);
    CHECK(f.questions() == 5);
    f.tables->release();
    CHECK(text(slow) == "-");
    CHECK(text(fresh) == "nobody@d.org");
  }
  SECTION("not even when nothing is cached") {
    f.settings.directory.cache_size.count = 0;
    f.directory->reload(f.settings);
    CHECK(settled(f, mailbox(f, "nobody@alias.org", kFresh)) == "-");
  }
}

TEST_CASE("a refusal for a foreign domain rests on domains of the last second") {
  Fixture f;
  f.open();
  constexpr auto kFresh = Freshness::FreshForRefusal;
  CHECK(text(mailbox(f, "x@new.org", kFresh)) == "- !");
  f.clock.advance(1001ms);
  f.tables->domains.push_back({"own", "new.org", std::nullopt});
  f.tables->add_user("x@new.org");
  SECTION("mail for a domain that has just been added") {
    CHECK(text(mailbox(f, "x@new.org")) == "- !");
    CHECK(settled(f, mailbox(f, "x@new.org", kFresh)) == "x@new.org");
    CHECK(f.tables->domain_questions == 2);
  }
  SECTION("a login in it") {
    CHECK(settled(f, credentials(f, "x@new.org")) == "hash");
  }
  SECTION("an alias domain that has just become one") {
    f.tables->domains.push_back({"alias", "late.org", "d.org"});
    CHECK(settled(f, mailbox(f, "u@late.org", kFresh)) == "u@d.org");
    f.clock.advance(1001ms);
    CHECK(settled(f, mailbox(f, "nobody@late.org", kFresh)) == "-");
    CHECK(f.tables->domain_questions == 3);
  }
  SECTION("and is temporary without a database") {
    f.tables->down = true;
    CHECK(settled(f, mailbox(f, "x@foreign.org", kFresh)) == "fail: injected");
    CHECK(settled(f, credentials(f, "x@foreign.org")) == "fail: injected");
    CHECK(text(mailbox(f, "x@foreign.org")) == "- !");
  }
}

TEST_CASE("credentials are remembered, refusals of a login are not") {
  Fixture f;
  f.tables->add_user("U2@d.org", "1", "{SHA512-CRYPT}$6$x");
  f.open();
  CHECK(settled(f, credentials(f, "u2@D.org")) == "{SHA512-CRYPT}$6$x");
  CHECK(settled(f, credentials(f, "u2@alias.org")) == "{SHA512-CRYPT}$6$x");
  CHECK(settled(f, credentials(f, "u2+x@d.org")) == "-");
  CHECK(settled(f, credentials(f, "off@d.org")) == "disabled");
  CHECK(settled(f, credentials(f, "nobody@d.org")) == "-");
  CHECK(f.tables->credential_questions == 5);
  CHECK(text(credentials(f, "u2@d.org")) == "{SHA512-CRYPT}$6$x !");
  f.clock.advance(1001ms);
  CHECK(text(credentials(f, "u2@d.org")) == "{SHA512-CRYPT}$6$x !");
  CHECK(f.tables->credential_questions == 5);
  CHECK(settled(f, credentials(f, "u2@d.org", Freshness::FreshForRefusal)) == "{SHA512-CRYPT}$6$x");
  CHECK(settled(f, credentials(f, "nobody@d.org")) == "-");
  CHECK(settled(f, credentials(f, "off@d.org")) == "disabled");
  CHECK(f.tables->credential_questions == 8);
  CHECK(text(credentials(f, "nobody")) == "- !");
  CHECK(settled(f, credentials(f, "x@foreign.org")) == "-");
  CHECK(f.tables->credential_questions == 8);
}

TEST_CASE("another schema version means that nothing cached holds") {
  Fixture f;
  f.open();
  CHECK(settled(f, mailbox(f, "u@d.org")) == "u@d.org");
  f.tables->schema_version = 4;
  f.directory->flush({"other@d.org"});
  f.run_until([&] { return f.tables->domain_questions == 2; });
  f.loop.run_ready();
  CHECK(text(mailbox(f, "u@d.org")) == "open");
}

TEST_CASE("a reload brings new rules and lifetimes") {
  Fixture f;
  f.open();
  CHECK(settled(f, mailbox(f, "u-x@d.org")) == "-");
  f.settings.addresses.recipient_delimiter = "-";
  f.settings.directory.found_lifetime = 1s;
  f.directory->reload(f.settings);
  CHECK(settled(f, mailbox(f, "u-x@d.org")) == "u@d.org");
  f.clock.advance(1s);
  CHECK(text(mailbox(f, "u@d.org")) == "open");
}

TEST_CASE("stopping answers whoever waits") {
  Fixture f;
  f.open();
  f.tables->frozen = true;
  const auto a = mailbox(f, "u@d.org");
  const auto b = credentials(f, "u@d.org");
  f.clock.advance(2s);
  const auto c = mailbox(f, "x@foreign.org", Freshness::FreshForRefusal);
  f.directory->stop();
  CHECK(text(a).find("fail: ") == 0);
  CHECK(text(b).find("fail: ") == 0);
  CHECK(text(c).find("fail: ") == 0);
  CHECK(text(mailbox(f, "u@d.org")).find("fail: ") == 0);
  CHECK(text(domain(f, "d.org")).find("fail: ") == 0);
  f.directory->stop();
}

TEST_CASE("stopping before the first load") {
  Fixture f;
  f.tables->frozen = true;
  f.open();
  const auto a = domain(f, "d.org");
  const auto b = mailbox(f, "u@d.org");
  f.directory.reset();
  CHECK(text(a).find("fail: ") == 0);
  CHECK(text(b).find("fail: ") == 0);
}
