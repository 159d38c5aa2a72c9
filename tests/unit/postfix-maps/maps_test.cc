#include "postfix-maps/maps.h"

#include <string>
#include <vector>

#include "postfix-maps/directory_maps.h"
#include "tests/support/captured.h"
#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace vmail;
using maps::Maps;
using socketmap::Reply;
using socketmap::Request;

TEST_CASE("outcomes become replies") {
  using Domain = Outcome<directory::DomainKind>;
  CHECK(maps::domains_reply(Domain::found(directory::DomainKind::Own)).encode() == "4:OK 1,");
  CHECK(maps::domains_reply(Domain::found(directory::DomainKind::Alias)).encode() == "4:OK 1,");
  CHECK(maps::domains_reply(Domain::found(directory::DomainKind::Relay)).encode() == "9:NOTFOUND ,");
  CHECK(maps::domains_reply(Domain::not_found()).encode() == "9:NOTFOUND ,");
  CHECK(maps::domains_reply(Domain::temp_fail("away")).encode() == "9:TEMP away,");
  CHECK(maps::relay_domains_reply(Domain::found(directory::DomainKind::Own)).encode() == "9:NOTFOUND ,");
  CHECK(maps::relay_domains_reply(Domain::found(directory::DomainKind::Alias)).encode() == "9:NOTFOUND ,");
  CHECK(maps::relay_domains_reply(Domain::found(directory::DomainKind::Relay)).encode() == "4:OK 1,");
  CHECK(maps::relay_domains_reply(Domain::temp_fail("away")).encode() == "9:TEMP away,");

  using Mailbox = Outcome<directory::Mailbox>;
  CHECK(maps::mailboxes_reply(Mailbox::found({"a", "x.org", ""})).encode() == "4:OK 1,");
  CHECK(maps::mailboxes_reply(Mailbox::not_found()).encode() == "9:NOTFOUND ,");
  CHECK(maps::mailboxes_reply(Mailbox::disabled()).encode() == "9:NOTFOUND ,");
  CHECK(maps::mailboxes_reply(Mailbox::temp_fail("away")).encode() == "9:TEMP away,");

  using Aliases = Outcome<AddressList>;
  CHECK(maps::list_reply(Aliases::found({"a@x.org"})).encode() == "10:OK a@x.org,");
  CHECK(maps::list_reply(Aliases::found({"a@x.org", "b@y.org"})).encode() == "18:OK a@x.org,b@y.org,");
  CHECK(maps::list_reply(Aliases::disabled()).encode() == "9:NOTFOUND ,");
  CHECK(maps::list_reply(Aliases::temp_fail("away")).encode() == "9:TEMP away,");
  // Bad data is no answer: half a list would lose mail, and an empty OK is a fault in Postfix's eyes.
  CHECK(maps::list_reply(Aliases::found({})).kind() == Reply::Kind::Temp);
  CHECK(maps::one_value_reply(Aliases::found({"smtp:[x.org]:25"})).encode() == "18:OK smtp:[x.org]:25,");
  CHECK(maps::one_value_reply(Aliases::found({"a@x.org", "b@y.org"})).kind() == Reply::Kind::Temp);
  CHECK(maps::one_value_reply(Aliases::found({})).kind() == Reply::Kind::Temp);
  CHECK(maps::one_value_reply(Aliases::not_found()).kind() == Reply::Kind::NotFound);
  AddressList many;
  for (int i = 0; i < 9000; ++i) many.add("somebody@x.org");
  CHECK(maps::list_reply(Aliases::found(many)).kind() == Reply::Kind::Temp);
}

TEST_CASE("a map is found by its name") {
  test::ManualClock clock;
  Maps maps(clock);
  std::string asked;
  const auto at_once = [](Reply reply) {
    return Maps::Map{[reply](std::string_view, Instant) { return Maps::Answered{reply, Source::Memory}; }, {}};
  };
  maps.add("domains", {[&](std::string_view key, Instant) {
                         asked = key;
                         return Maps::Answered{Reply::ok("1"), Source::Memory};
                       },
                       {}});
  maps.add("aliases", at_once(Reply::not_found()));

  CHECK(maps.recall({"domains", "X.org"})->encode() == "4:OK 1,");
  CHECK(asked == "X.org");
  CHECK(maps.recall({"aliases", "X.org"})->kind() == Reply::Kind::NotFound);

  SECTION("an unknown one is a fault of the configuration, and the known ones are named") {
    const auto reply = maps.recall({"alias\n", "a@x.org"});
    CHECK(reply->kind() == Reply::Kind::Perm);
    CHECK(reply->text() == "no map \"alias\\x0a\"; there are: domains, aliases");
  }
  SECTION("so is a request without a key") {
    Request request{"domains", ""};
    request.has_space = false;
    CHECK(maps.recall(request)->kind() == Reply::Kind::Perm);
  }
  SECTION("a key too long for anything is not found, without a question") {
    Request request{"domains", "long"};
    request.oversized = true;
    CHECK(maps.recall(request)->kind() == Reply::Kind::NotFound);
    CHECK(asked == "X.org");
  }
  SECTION("an unknown map with a long key is unknown") {
    Request request{"nothing", "long"};
    request.oversized = true;
    CHECK(maps.recall(request)->kind() == Reply::Kind::Perm);
  }
}

TEST_CASE("an answer that comes later is handed on, and counted with its source and time") {
  test::ManualClock clock;
  metrics::Registry registry;
  Maps maps(clock);
  Maps::Later held;
  maps.add("aliases", {[](std::string_view, Instant) { return std::nullopt; },
                       [&](std::string_view, Maps::Later later) -> std::optional<Maps::Answered> {
                         held = std::move(later);
                         return std::nullopt;
                       }});
  maps.metrics(registry);
  std::string answer;
  CHECK_FALSE(maps.recall({"aliases", "a@x.org"}));
  CHECK_FALSE(maps.ask({"aliases", "a@x.org"}, [&](const Reply& reply) { answer = reply.encode(); }));
  CHECK(answer.empty());
  clock.advance(std::chrono::milliseconds(3));
  held({Reply::ok("b@x.org"), Source::Stale});
  CHECK(answer == "10:OK b@x.org,");
  const std::string text = registry.text();
  CHECK(text.find("vmailkit_lookups_total{map=\"aliases\",result=\"ok\",source=\"stale\"} 1") != std::string::npos);
  CHECK(text.find("vmailkit_lookup_seconds_sum{source=\"stale\"} 0.003") != std::string::npos);
}

TEST_CASE("each look-up is a line of the log, at the level debug") {
  test::ManualClock clock;
  Maps maps(clock);
  maps.add("aliases", {[&](std::string_view key, Instant) -> std::optional<Maps::Answered> {
                         clock.advance(std::chrono::microseconds(12));
                         if (key == "away") return Maps::Answered{Reply::temp("it is away"), Source::Database};
                         return Maps::Answered{Reply::ok("b@x.org"), Source::Stale};
                       },
                       {}});
  const auto look_up = [&](std::string_view key) {
    return test::captured([&] { CHECK(maps.recall({"aliases", key})); });
  };
  const auto before = log::level();
  log::set_level(log::Level::Info);
  CHECK(look_up("a@x.org").empty());
  CHECK(look_up("away") == "<4>lookup map=aliases key=away result=TEMP source=db ms=0.012: it is away\n");
  CHECK(look_up("away").empty());  // held back
  log::set_level(log::Level::Debug);
  CHECK(look_up("a\n@x.org") ==
        "<7>lookup map=aliases key=a\\x0a@x.org result=OK source=stale ms=0.012 data=b@x.org\n");
  CHECK(look_up("away") == "<7>lookup map=aliases key=away result=TEMP source=db ms=0.012: it is away\n");
  log::set_level(before);
}
