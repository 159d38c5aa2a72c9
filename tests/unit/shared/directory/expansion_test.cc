// Where mail ends, and whose an address is.
#include <string>

#include "tests/unit/shared/directory/directory_fixture.h"

using namespace vmail::directory;
using namespace vmail::directory::test;
using vmail::AddressList;
using vmail::Outcome;

namespace {

template <class List>
std::string joined(const List& list) {
  std::string text;
  for (const auto& each : list) text.append(text.empty() ? "" : " ").append(each);
  return text;
}

std::string text_of(const Outcome<Expansion>& outcome) {
  if (outcome.is_temp_fail()) return "fail: " + outcome.reason();
  const Expansion& ends = outcome.value();
  std::vector<std::string> boxes;
  for (const auto& mailbox : ends.mailboxes) boxes.push_back(mailbox.address());
  std::string text = joined(boxes);
  if (!ends.elsewhere.empty()) text += " | elsewhere " + joined(ends.elsewhere);
  if (!ends.dead_ends.empty()) text += " | dead " + joined(ends.dead_ends);
  if (!ends.loop.empty()) text += " | loop " + joined(ends.loop);
  if (ends.too_many) text += " | too many";
  return text;
}
std::string text_of(const Outcome<AddressList>& outcome) {
  return outcome.is_found() ? joined(outcome.value()) : text(outcome);
}

ResultPtr<Expansion> expansion(Fixture& f, const std::string& address, Freshness freshness = Freshness::Cached) {
  return ask<Expansion>([&](auto later) { return f.directory->expansion(address, freshness, std::move(later)); });
}
ResultPtr<AddressList> owners(Fixture& f, const std::string& sender) {
  return ask<AddressList>([&](auto later) { return f.directory->owners(sender, std::move(later)); });
}

template <class T>
std::string settle(Fixture& f, const ResultPtr<T>& result) {
  for (int i = 0; i < 10000 && !result->outcome; ++i) f.loop.run_ready();
  return result->outcome ? text_of(*result->outcome) : "open";
}
// Asked twice: what the second gives from memory is what the first one gave.
std::string ends(Fixture& f, const std::string& address) {
  const std::string first = settle(f, expansion(f, address));
  const auto again = expansion(f, address);
  CHECK(again->at_once);
  CHECK(settle(f, again) == first);
  return first;
}
std::string owners_of(Fixture& f, const std::string& sender) {
  const std::string first = settle(f, owners(f, sender));
  const auto again = owners(f, sender);
  CHECK(again->at_once);
  CHECK(settle(f, again) == first);
  return first;
}

}  // namespace

TEST_CASE("where mail ends: mailboxes, elsewhere, nowhere") {
  Fixture f;
  f.tables->add_user("v@d.org");
  f.tables->add_alias("two@d.org", "u@d.org");
  f.tables->add_alias("two@d.org", "x@foreign.org");
  f.tables->add_alias("two@d.org", "y@relay.org");
  f.tables->add_alias("two@d.org", "gone@d.org");
  f.tables->add_alias("two@d.org", "off@d.org");
  f.tables->add_alias("nested@d.org", "two@alias.org");
  f.tables->add_alias("nested@d.org", "a@d.org");
  f.tables->add_alias("nested@d.org", "v@alias.org");
  f.tables->add_alias("unused@d.org", "u@d.org", "0");
  f.tables->add_alias("pipe@d.org", "root");
  f.open();
  CHECK(ends(f, "u@d.org") == "u@d.org");
  CHECK(ends(f, "U+ext@Alias.org") == "u@d.org");
  CHECK(ends(f, "a@d.org") == "u@d.org");
  CHECK(ends(f, "two@d.org") == "u@d.org | elsewhere x@foreign.org y@relay.org | dead gone@d.org off@d.org");
  CHECK(ends(f, "nested@d.org") == "u@d.org v@d.org | elsewhere x@foreign.org y@relay.org | dead gone@d.org off@d.org");
  CHECK(ends(f, "pipe@d.org") == " | elsewhere root");
  CHECK(ends(f, "x@foreign.org") == " | elsewhere x@foreign.org");
  CHECK(ends(f, "y@relay.org") == " | elsewhere y@relay.org");
  CHECK(ends(f, "nobody@d.org") == " | dead nobody@d.org");
  CHECK(ends(f, "off@d.org") == " | dead off@d.org");
  CHECK(ends(f, "unused@d.org") == " | dead unused@d.org");
  for (const char* odd : {"", "no address", "a@b@d.org", "@d.org"}) {
    CHECK(ends(f, odd) == std::string(" | elsewhere ") + odd);
  }
}

TEST_CASE("extensions and catch-alls on the way") {
  Fixture f;
  f.tables->add_alias("@d.org", "u@d.org");
  f.tables->domains.push_back({"own", "other.org", std::nullopt});
  f.tables->add_alias("@other.org", "@d.org");
  f.open();
  CHECK(ends(f, "anything@d.org") == "u@d.org");
  CHECK(ends(f, "anything+ext@alias.org") == "u@d.org");
  CHECK(ends(f, "u+ext@other.org") == "u@d.org");
  const auto ended = expansion(f, "u+ext@other.org");
  REQUIRE(ended->outcome);
  CHECK(ended->outcome->value().mailboxes[0].extension == "+ext");
}

TEST_CASE("an address may keep its mailbox and lead elsewhere too") {
  Fixture f;
  f.tables->add_alias("u@d.org", "U@d.org");
  f.tables->add_alias("u@d.org", "copy@foreign.org");
  f.tables->add_user("forwards@d.org");
  f.tables->add_alias("forwards@d.org", "away@foreign.org");
  f.tables->add_alias("itself@d.org", "itself@d.org");
  f.open();
  CHECK(ends(f, "u@d.org") == "u@d.org | elsewhere copy@foreign.org");
  CHECK(ends(f, "a@d.org") == "u@d.org | elsewhere copy@foreign.org");
  CHECK(ends(f, "forwards@d.org") == " | elsewhere away@foreign.org");
  CHECK(ends(f, "itself@d.org") == " | dead itself@d.org");
}

TEST_CASE("every loop is found, and a diamond is none") {
  Fixture f;
  const auto alias = [&](const char* from, const char* to) {
    f.tables->add_alias(std::string(from) + "@d.org", std::string(to) + "@d.org");
  };
  alias("x", "y"), alias("y", "z"), alias("z", "x"), alias("z", "u");
  alias("enter", "x");
  // The last step of this one leads to what was seen before on another way.
  alias("p", "q"), alias("p", "r"), alias("q", "r"), alias("r", "q");
  alias("top", "left"), alias("top", "right"), alias("left", "bottom"), alias("right", "bottom"), alias("bottom", "u");
  f.open();
  CHECK(ends(f, "x@d.org") == "u@d.org | loop x@d.org y@d.org z@d.org x@d.org");
  CHECK(ends(f, "enter@d.org") == "u@d.org | loop x@d.org y@d.org z@d.org x@d.org");
  CHECK(ends(f, "p@d.org") == " | loop q@d.org r@d.org q@d.org");
  CHECK(ends(f, "top@d.org") == "u@d.org");
}

TEST_CASE("so many addresses and no more") {
  Fixture f;
  for (std::size_t i = 0; i + 2 < kMaxExpansion; ++i)
    f.tables->add_alias("list@d.org", "m" + std::to_string(i) + "@x.org");
  f.tables->add_alias("list@d.org", "u@d.org");
  f.tables->add_alias("longer@d.org", "list@d.org");
  f.open();
  const auto all = expansion(f, "list@d.org");
  settle(f, all);
  CHECK(all->outcome->value().elsewhere.size() == kMaxExpansion - 2);
  CHECK(all->outcome->value().mailboxes.size() == 1);
  CHECK_FALSE(all->outcome->value().too_many);
  const auto more = expansion(f, "longer@d.org");
  settle(f, more);
  CHECK(more->outcome->value().too_many);
  CHECK(more->outcome->value().mailboxes.empty());
}

TEST_CASE("a way as long as may be") {
  Fixture f;
  for (int i = 0; i < 900; ++i) {
    f.tables->add_alias("n" + std::to_string(i) + "@d.org", "n" + std::to_string(i + 1) + "@d.org");
  }
  f.tables->add_alias("n900@d.org", "u@d.org");
  f.open();
  CHECK(ends(f, "n0@d.org") == "u@d.org");
}

TEST_CASE("a failure on the way is one of all") {
  Fixture f;
  f.tables->add_alias("two@d.org", "x@foreign.org");
  f.tables->add_alias("two@d.org", "bad@d.org");
  f.tables->add_alias("bad@d.org", "");
  f.open();
  CHECK(settle(f, expansion(f, "two@d.org")).find("fail: the alias bad@d.org has a destination") == 0);
  CHECK(settle(f, owners(f, "two@d.org")).find("fail: the alias bad@d.org has a destination") == 0);
  f.tables->down = true;
  CHECK(settle(f, expansion(f, "v@d.org")) == "fail: injected");
}

TEST_CASE("no question is begun after the deadline") {
  Fixture f;
  f.tables->add_alias("b@d.org", "a@d.org");
  f.open();
  f.tables->frozen = true;
  const auto slow = expansion(f, "b@d.org");
  f.loop.run_ready();
  f.clock.advance(f.settings.database.deadline);
  f.tables->release();
  CHECK(settle(f, slow) == "fail: the aliases could not all be followed in time");
}

TEST_CASE("who waits when the directory stops or goes is answered") {
  Fixture f;
  f.open();
  f.tables->frozen = true;
  const auto waits = expansion(f, "a@d.org");
  const auto sends = owners(f, "a@d.org");
  f.loop.run_ready();
  f.directory->stop();
  CHECK(settle(f, waits).find("fail: ") == 0);
  CHECK(settle(f, sends).find("fail: ") == 0);
  CHECK(settle(f, expansion(f, "u@d.org")) == "fail: the daemon is stopping");
  f.directory.reset();
}

TEST_CASE("a refusal needs fresh mailboxes") {
  Fixture f;
  f.open();
  CHECK(ends(f, "gone@d.org") == " | dead gone@d.org");
  f.clock.advance(2s);
  CHECK(expansion(f, "gone@d.org")->at_once);
  const auto fresh = expansion(f, "gone@d.org", Freshness::FreshForRefusal);
  CHECK_FALSE(fresh->at_once);
  CHECK(settle(f, fresh) == " | dead gone@d.org");
}

TEST_CASE("whose an address is: mailbox, aliases, alias domain, catch-all") {
  Fixture f;
  f.tables->add_user("v@d.org");
  f.tables->add_alias("both@d.org", "u@d.org");
  f.tables->add_alias("both@d.org", "v@d.org");
  f.tables->add_alias("both@d.org", "x@foreign.org");
  f.tables->add_alias("nested@d.org", "both@d.org");
  f.tables->domains.push_back({"own", "caught.org", std::nullopt});
  f.tables->add_alias("@caught.org", "v@d.org");
  f.tables->add_user("forwards@d.org");
  f.tables->add_alias("forwards@d.org", "u@d.org");
  f.open();
  CHECK(owners_of(f, "u@d.org") == "u@d.org");
  CHECK(owners_of(f, "U+ext@ALIAS.org") == "u@d.org");
  CHECK(owners_of(f, "a@d.org") == "u@d.org");
  CHECK(owners_of(f, "nested@alias.org") == "u@d.org v@d.org");
  CHECK(owners_of(f, "anything@caught.org") == "v@d.org");
  CHECK(owners_of(f, "forwards@d.org") == "forwards@d.org u@d.org");
  CHECK(owners_of(f, "off@d.org") == "-");
  CHECK(owners_of(f, "nobody@d.org") == "-");
  CHECK(owners_of(f, "x@foreign.org") == "-");
  for (const char* odd : {"", "<>", "*", "d.org", "@d.org", "a@b@d.org"}) CHECK(owners_of(f, odd) == "-");
}

TEST_CASE("whose an address is: grants to send") {
  Fixture f;
  const auto grant = [&](const char* login, const char* value) { f.tables->add_rule(RuleKind::SendAs, login, value); };
  grant("v@d.org", "u@d.org");
  grant("w@d.org", "@d.org");
  grant("News@d.org", "news@foreign.org");
  grant("z@bücher.example", "@d.org");
  f.open();
  CHECK(owners_of(f, "u@d.org") == "u@d.org v@d.org w@d.org z@xn--bcher-kva.example z@bücher.example");
  CHECK(owners_of(f, "u+ext@alias.org") == "u@d.org v@d.org w@d.org z@xn--bcher-kva.example z@bücher.example");
  CHECK(owners_of(f, "nobody@d.org") == "w@d.org z@xn--bcher-kva.example z@bücher.example");
  CHECK(owners_of(f, "news@foreign.org") == "news@d.org");
  grant("all@d.org", "*");
  f.directory->flush({});
  f.loop.run_ready();
  CHECK(settle(f, owners(f, "x@foreign.org")) == "all@d.org");

  Fixture g;
  g.tables->rules_fault = "no rights";
  g.open();
  CHECK(settle(g, owners(g, "u@d.org")) == "fail: no rights");
  CHECK(settle(g, expansion(g, "u@d.org")) == "u@d.org");
}
