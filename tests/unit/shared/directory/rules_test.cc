// Rules: names as keys, which of them answers for an address, values that cannot be used.
#include "shared/directory/rules.h"

#include <set>
#include <string>
#include <vector>

#include "shared/base/address.h"
#include "shared/directory/idn.h"
#include "shared/directory/resolver.h"
#include "tests/support/catch.h"

using namespace vmail::directory;
using vmail::AddressList;
using Kind = RuleKind;

namespace {

Ladder ladder_of(const char* text, const char* target = "") {
  const auto address = vmail::parse_address(text);
  REQUIRE(address);
  Ladder ladder;
  const Domains::Entry entry{*target == 0 ? DomainKind::Own : DomainKind::Alias, target};
  make_ladder(*address, a_label(address->domain), entry, {}, ladder);
  return ladder;
}

// The values, with blanks between; "-": there is no rule, "spoilt": one of them cannot be used.
std::string text(const AddressList* values) {
  if (values == nullptr) return "-";
  if (values->empty()) return "spoilt";
  std::string all;
  for (const auto value : *values) all.append(all.empty() ? "" : " ").append(value);
  return all;
}

// Of rules whose values are their names: which one answers.
std::string answering(Kind kind, const std::vector<const char*>& names, const Ladder& ladder) {
  Rules rules;
  for (const auto* name : names) rules.add(kind, name, name);
  return text(find_by_ladder(rules, kind, ladder));
}

}  // namespace

TEST_CASE("every kind has a word") {
  std::set<std::string> words;
  for (std::size_t i = 0; i < kRuleKinds; ++i) {
    const auto kind = static_cast<Kind>(i);
    CHECK(rule_kind(word(kind)) == kind);
    words.insert(word(kind));
  }
  CHECK(words.size() == kRuleKinds);
  CHECK(rule_kind("send-as") == Kind::SendAs);
  CHECK(rule_kind("quota") == Kind::Quota);
  CHECK_FALSE(rule_kind("Send-As"));
  CHECK_FALSE(rule_kind(""));
}

TEST_CASE("names of rules as keys") {
  const struct {
    Kind kind;
    const char* name;
    const char* key;
  } cases[] = {
      {Kind::SenderBcc, "U@D.org", "u@d.org"},
      {Kind::SenderBcc, " @Bücher.Example ", "@xn--bcher-kva.example"},
      {Kind::SenderBcc, "d.org", ""},
      {Kind::SenderBcc, "<>", ""},
      {Kind::SenderBcc, "*", ""},
      {Kind::SenderBcc, "a@b@d.org", ""},
      {Kind::SenderBcc, "", ""},
      {Kind::SenderRelay, "<>", "<>"},
      {Kind::Transport, "U@Bücher.Example", "u@xn--bcher-kva.example"},
      {Kind::Transport, "Bücher.Example", "xn--bcher-kva.example"},
      {Kind::Transport, ".Bücher.Example", ".xn--bcher-kva.example"},
      {Kind::Transport, "*", "*"},
      {Kind::Transport, "@d.org", ""},
      {Kind::Transport, ".", ""},
      {Kind::Transport, "two words", ""},
      {Kind::Transport, "\xff", ""},
      {Kind::RecipientAccess, "D.org", "d.org"},
      {Kind::ExternalIn, "D.org", "@d.org"},
      {Kind::ExternalOut, "@d.org", "@d.org"},
      {Kind::ExternalOut, "u@d.org", "u@d.org"},
  };
  for (const auto& c : cases) {
    CAPTURE(word(c.kind), c.name);
    CHECK(rule_key(c.kind, c.name) == c.key);
    CHECK(rule_key(c.kind, c.key) == c.key);
  }
}

TEST_CASE("values come in their order, those of one name alone") {
  Rules rules;
  rules.add(Kind::Limit, "u@d.org", "recipients 2000/1d");
  rules.add(Kind::Limit, "@d.org", "recipients 1/1d");
  rules.add(Kind::Limit, "U@D.org", "messages 10/1h");
  rules.add(Kind::Quota, "u@d.org", "1G");
  CHECK(text(rules.find(Kind::Limit, "u@d.org")) == "recipients 2000/1d messages 10/1h");
  CHECK(text(rules.find(Kind::Limit, "@d.org")) == "recipients 1/1d");
  CHECK(text(rules.find(Kind::Quota, "u@d.org")) == "1G");
  CHECK(text(rules.find(Kind::Protect, "u@d.org")) == "-");
  CHECK(rules.size() == 4);
}

TEST_CASE("a value that cannot be used spoils its rule and no other") {
  for (const std::string value : {"", " ", "two\nlines", "\xff", "bell\a"}) {
    CAPTURE(value);
    Rules rules;
    rules.add(Kind::SendAs, "a@d.org", "x@d.org");
    rules.add(Kind::SendAs, "b@d.org", "x@d.org");
    rules.add(Kind::SendAs, "b@d.org", "y@d.org");
    rules.add(Kind::SendAs, "b@d.org", value);
    rules.add(Kind::SendAs, "b@d.org", "z@d.org");
    CHECK(text(rules.find(Kind::SendAs, "a@d.org")) == "x@d.org");
    CHECK(text(rules.find(Kind::SendAs, "b@d.org")) == "spoilt");
    CHECK(rules.size() == 2);
    CHECK(rules.left_out.empty());
  }
}

TEST_CASE("a name that nobody could ask for is left out, and said") {
  Rules rules;
  rules.add(Kind::SenderBcc, "no address", "x@d.org");
  CHECK(rules.size() == 0);
  CHECK(rules.left_out == "a sender-bcc rule is named 'no address'");
}

TEST_CASE("send-as the other way round") {
  Rules rules;
  rules.add(Kind::SendAs, "A@d.org", "Info@D.org");
  rules.add(Kind::SendAs, "b@d.org", "@D.org");
  rules.add(Kind::SendAs, "c@d.org", "info@d.org");
  rules.add(Kind::SendAs, "c@d.org", "*");
  rules.add(Kind::SenderBcc, "c@d.org", "d@d.org");
  CHECK(text(rules.names(Kind::SendAs, "info@d.org")) == "a@d.org c@d.org");
  CHECK(text(rules.names(Kind::SendAs, "@d.org")) == "b@d.org");
  CHECK(text(rules.names(Kind::SendAs, "*")) == "c@d.org");
  CHECK(text(rules.names(Kind::SendAs, "c@d.org")) == "-");
  CHECK(text(rules.names(Kind::SenderBcc, "d@d.org")) == "-");
}

TEST_CASE("all rules are visited and make the same again") {
  Rules rules;
  rules.add(Kind::Transport, "*", "smtp:[relay.example]");
  rules.add(Kind::ExternalIn, "d.org", "no");
  rules.add(Kind::SendAs, "u@d.org", "B@d.org");
  rules.add(Kind::SendAs, "u@d.org", "a@d.org");
  rules.add(Kind::Quota, "u@d.org", "");
  const auto seen = [](const Rules& of) {
    std::multiset<std::string> all;
    of.each([&](Kind kind, std::string_view name, std::string_view value) {
      all.insert(std::string(word(kind)) + ' ' + std::string(name) + ' ' + std::string(value));
    });
    return all;
  };
  Rules again;
  rules.each([&](Kind kind, std::string_view name, std::string_view value) { again.add(kind, name, value); });
  CHECK(seen(rules).size() == rules.size());
  CHECK(rules.size() == 5);
  CHECK(seen(again) == seen(rules));
  CHECK(again.size() == rules.size());
  CHECK(text(again.find(Kind::SendAs, "u@d.org")) == "b@d.org a@d.org");
  CHECK(text(again.find(Kind::Quota, "u@d.org")) == "spoilt");
}

TEST_CASE("the ladder: the most exact name answers") {
  const auto plain = ladder_of("U+ext@D.org");
  CHECK(answering(Kind::SenderBcc, {"@d.org", "u@d.org", "u+ext@d.org"}, plain) == "u+ext@d.org");
  CHECK(answering(Kind::SenderBcc, {"@d.org", "u@d.org"}, plain) == "u@d.org");
  CHECK(answering(Kind::SenderBcc, {"@d.org"}, plain) == "@d.org");
  CHECK(answering(Kind::SenderBcc, {"@org", "v@d.org"}, plain) == "-");
  const auto aliased = ladder_of("u+ext@alias.org", "d.org");
  CHECK(answering(Kind::Quota, {"@d.org", "@alias.org", "u@d.org", "u+ext@d.org"}, aliased) == "u+ext@d.org");
  CHECK(answering(Kind::Quota, {"@d.org", "@alias.org", "u@d.org", "u@alias.org"}, aliased) == "u@alias.org");
  CHECK(answering(Kind::Quota, {"@d.org", "@alias.org"}, aliased) == "@alias.org");
  CHECK(answering(Kind::Quota, {"@d.org"}, aliased) == "@d.org");
}

TEST_CASE("the kinds that go by domain: parents from the nearest on, then all") {
  const auto plain = ladder_of("u+ext@a.b.example");
  const std::vector<const char*> names = {"*",           ".example",      ".b.example",
                                          "a.b.example", "u@a.b.example", "u+ext@a.b.example"};
  for (const Kind kind : {Kind::Transport, Kind::RecipientAccess}) {
    for (std::size_t i = 1; i <= names.size(); ++i) {
      CHECK(answering(kind, {names.begin(), names.begin() + std::ptrdiff_t(i)}, plain) == names[i - 1]);
    }
    CHECK(answering(kind, {".a.b.example", "b.example"}, plain) == "-");
  }
  const auto aliased = ladder_of("u@alias.example", "d.example");
  CHECK(answering(Kind::Transport, {"*", ".example", "d.example", "u@d.example"}, aliased) == "u@d.example");
  CHECK(answering(Kind::Transport, {"*", ".example", "d.example"}, aliased) == "d.example");
  CHECK(answering(Kind::Transport, {"*", ".example"}, aliased) == ".example");
}

TEST_CASE("what is no address: a domain, all, the null sender") {
  Rules rules;
  rules.add(Kind::Transport, "*", "all");
  rules.add(Kind::Transport, ".example", "parent");
  rules.add(Kind::Transport, "d.example", "domain");
  rules.add(Kind::SenderRelay, "<>", "null");
  CHECK(text(find_by_key(rules, Kind::Transport, "*")) == "all");
  CHECK(text(find_by_key(rules, Kind::Transport, "d.example")) == "domain");
  CHECK(text(find_by_key(rules, Kind::Transport, "e.example")) == "parent");
  CHECK(text(find_by_key(rules, Kind::Transport, "x.org")) == "all");
  CHECK(text(find_by_key(rules, Kind::SenderRelay, "<>")) == "null");
  CHECK(text(find_by_key(rules, Kind::SenderRelay, "*")) == "-");
}
