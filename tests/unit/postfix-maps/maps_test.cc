#include "postfix-maps/maps.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

using namespace vmail;
using maps::Maps;
using socketmap::Later;
using socketmap::Reply;
using socketmap::Request;

namespace {

Later nobody() {
  return [](const Reply&) { FAIL("answered later, though it was answered at once"); };
}

}  // namespace

TEST_CASE("outcomes become replies") {
  using Domain = Outcome<directory::DomainKind>;
  CHECK(maps::domains_reply(Domain::found(directory::DomainKind::Own)).encode() == "4:OK 1,");
  CHECK(maps::domains_reply(Domain::found(directory::DomainKind::Alias)).encode() == "4:OK 1,");
  CHECK(maps::domains_reply(Domain::found(directory::DomainKind::Relay)).encode() == "9:NOTFOUND ,");
  CHECK(maps::domains_reply(Domain::not_found()).encode() == "9:NOTFOUND ,");
  CHECK(maps::domains_reply(Domain::temp_fail("away")).encode() == "9:TEMP away,");

  using Mailbox = Outcome<directory::Mailbox>;
  CHECK(maps::mailboxes_reply(Mailbox::found({"a", "x.org", ""})).encode() == "4:OK 1,");
  CHECK(maps::mailboxes_reply(Mailbox::not_found()).encode() == "9:NOTFOUND ,");
  CHECK(maps::mailboxes_reply(Mailbox::disabled()).encode() == "9:NOTFOUND ,");
  CHECK(maps::mailboxes_reply(Mailbox::temp_fail("away")).encode() == "9:TEMP away,");

  using Aliases = Outcome<std::vector<std::string>>;
  CHECK(maps::aliases_reply(Aliases::found({"a@x.org"})).encode() == "10:OK a@x.org,");
  CHECK(maps::aliases_reply(Aliases::found({"a@x.org", "b@y.org"})).encode() == "18:OK a@x.org,b@y.org,");
  CHECK(maps::aliases_reply(Aliases::disabled()).encode() == "9:NOTFOUND ,");
  CHECK(maps::aliases_reply(Aliases::temp_fail("away")).encode() == "9:TEMP away,");
  // Bad data is no answer: half a list would lose mail, and an empty OK is a fault in Postfix's eyes.
  CHECK(maps::aliases_reply(Aliases::found({})).kind() == Reply::Kind::Temp);
  CHECK(maps::aliases_reply(Aliases::found(std::vector<std::string>(9000, "somebody@x.org"))).kind() ==
        Reply::Kind::Temp);
}

TEST_CASE("a map is found by its name") {
  Maps maps;
  std::string asked;
  maps.add("domains", [&](std::string_view key, Later) -> std::optional<Reply> {
    asked = key;
    return Reply::ok("1");
  });
  maps.add("aliases", [](std::string_view, Later) -> std::optional<Reply> { return Reply::not_found(); });

  CHECK(maps.ask({"domains", "X.org"}, nobody())->encode() == "4:OK 1,");
  CHECK(asked == "X.org");
  CHECK(maps.ask({"aliases", "X.org"}, nobody())->kind() == Reply::Kind::NotFound);

  SECTION("an unknown one is a fault of the configuration, and the known ones are named") {
    const auto reply = maps.ask({"alias\n", "a@x.org"}, nobody());
    CHECK(reply->kind() == Reply::Kind::Perm);
    CHECK(reply->text() == "vmail-mapd has no map \"alias\\x0a\"; it has: domains, aliases");
  }
  SECTION("so is a request without a key") {
    Request request{"domains", ""};
    request.has_space = false;
    CHECK(maps.ask(request, nobody())->kind() == Reply::Kind::Perm);
  }
  SECTION("a key too long for anything is not found, without a question") {
    Request request{"domains", "long"};
    request.oversized = true;
    CHECK(maps.ask(request, nobody())->kind() == Reply::Kind::NotFound);
    CHECK(asked == "X.org");
  }
  SECTION("an unknown map with a long key is unknown") {
    Request request{"nothing", "long"};
    request.oversized = true;
    CHECK(maps.ask(request, nobody())->kind() == Reply::Kind::Perm);
  }
}

TEST_CASE("an answer that comes later is handed on") {
  Maps maps;
  Later held;
  maps.add("aliases", [&](std::string_view, Later later) -> std::optional<Reply> {
    held = std::move(later);
    return std::nullopt;
  });
  std::string answer;
  CHECK_FALSE(maps.ask({"aliases", "a@x.org"}, [&](const Reply& reply) { answer = reply.encode(); }));
  CHECK(answer.empty());
  held(Reply::ok("b@x.org"));
  CHECK(answer == "10:OK b@x.org,");
}
