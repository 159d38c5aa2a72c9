#include "shared/directory/resolver.h"

#include "shared/directory/idn.h"
#include "shared/directory/sql_database.h"
#include "tests/support/catch.h"

using namespace vmail::directory;
using vmail::AddressList;
using vmail::parse_address;

namespace {

using TableRows = std::vector<vmail::mysql::Row>;

const std::shared_ptr<const Domains>& domains() {
  static const std::shared_ptr<const Domains> sets = read_domains({{"own", "d.org", std::nullopt},
                                                                   {"own", "bücher.example", std::nullopt},
                                                                   {"alias", "alias.org", "d.org"},
                                                                   {"relay", "relay.org", std::nullopt}},
                                                                  3);
  return sets;
}

TableRows& operator<<(TableRows& rows, std::initializer_list<const char*> line) {
  const std::vector<const char*> cells(line);
  const std::string id = std::to_string(rows.size() + 1);
  if (cells.size() == 2) {
    rows.push_back({"user", id, cells[0], cells[1], std::nullopt});
  } else {
    rows.push_back({"alias", id, cells[0], cells[2], cells[1]});
  }
  return rows;
}

TableRows user(const char* address, const char* enable = "1") {
  TableRows rows;
  return rows << std::initializer_list<const char*>{address, enable};
}
TableRows alias(const char* source, const char* destination, const char* enable = "1") {
  TableRows rows;
  return rows << std::initializer_list<const char*>{source, destination, enable};
}
TableRows operator+(TableRows a, const TableRows& b) {
  for (auto row : b) {
    row[1] = std::to_string(a.size() + 1);
    a.push_back(row);
  }
  return a;
}

template <class T>
std::string status_text(const vmail::Outcome<T>& outcome) {
  switch (outcome.status()) {
    case vmail::Status::NotFound:
      return "-";
    case vmail::Status::Disabled:
      return "disabled";
    case vmail::Status::TempFail:
      return "fail";
    case vmail::Status::Found:
      break;
  }
  return "";
}

template <class Row>
struct NoRows final : Rows<Row> {
  const Row* find(std::string_view) override { return nullptr; }
};

Ladder ladder_of(const char* address, const Extensions& extensions) {
  const auto parsed = parse_address(address);
  const std::string domain = a_label(parsed->domain);
  Ladder ladder;
  make_ladder(*parsed, domain, *domains()->find(domain), extensions, ladder);
  return ladder;
}

std::string mailbox(const TableRows& rows, const char* address, const Extensions& extensions = {},
                    const Rules& rules = {}) {
  const Ladder ladder = ladder_of(address, extensions);
  const auto read = read_addresses(ladder.keys(), rows);
  NoRows<AddressRow> others;
  ReadRows source(read, others);
  auto outcome = vmail::Outcome<Mailbox>::not_found();
  REQUIRE(resolve_mailbox(ladder, extensions, rules, source, outcome));
  if (!outcome.is_found()) return status_text(outcome);
  const auto& box = outcome.value();
  return box.address() + (box.extension.empty() ? "" : " " + box.extension) + (box.hold ? " on hold" : "");
}

std::string aliases(const TableRows& rows, const char* address, const Extensions& extensions = {}) {
  const Ladder ladder = ladder_of(address, extensions);
  const auto read = read_addresses(ladder.keys(), rows);
  NoRows<AddressRow> others;
  ReadRows source(read, others);
  auto outcome = vmail::Outcome<AddressList>::not_found();
  REQUIRE(resolve_aliases(ladder, extensions, {}, source, outcome));
  if (!outcome.is_found()) return status_text(outcome);
  std::string text;
  for (const auto destination : outcome.value()) text.append(text.empty() ? "" : " ").append(destination);
  return text;
}

std::string login(std::vector<vmail::mysql::Row> rows, const char* address, const Rules& rules = {}) {
  const auto parsed = parse_address(address);
  const std::string domain = a_label(parsed->domain);
  Ladder ladder;
  make_login_ladder(*parsed, domain, *domains()->find(domain), ladder);
  const auto read = read_credentials(ladder.step_keys(), std::move(rows));
  NoRows<CredentialRow> others;
  ReadRows source(read, others);
  auto outcome = vmail::Outcome<Credentials>::not_found();
  REQUIRE(resolve_credentials(ladder, {}, rules, source, outcome));
  if (!outcome.is_found()) return status_text(outcome);
  return outcome.value().mailbox.address() + " " + outcome.value().hash.text();
}

Rules states(std::initializer_list<std::pair<const char*, const char*>> named) {
  Rules rules;
  for (const auto& [name, value] : named) rules.add(RuleKind::State, name, value);
  return rules;
}

}  // namespace

TEST_CASE("the ladder asks for every rung at once") {
  const Extensions extensions;
  CHECK(ladder_of("u@d.org", extensions).keys() == std::vector<std::string>{"u@d.org", "@d.org"});
  CHECK(ladder_of("U+Ext@D.org", extensions).keys() == std::vector<std::string>{"u+ext@d.org", "u@d.org", "@d.org"});
  CHECK(ladder_of("u+e@alias.org", extensions).keys() ==
        std::vector<std::string>{"u+e@alias.org", "u@alias.org", "u+e@d.org", "u@d.org", "@alias.org", "@d.org"});
  CHECK(ladder_of("u@Bücher.example", extensions).keys() ==
        std::vector<std::string>{"u@xn--bcher-kva.example", "@xn--bcher-kva.example"});
  CHECK(ladder_of("+u@d.org", extensions).keys() == std::vector<std::string>{"+u@d.org", "@d.org"});
  CHECK(ladder_of("u+e@d.org", {"", true}).keys() == std::vector<std::string>{"u+e@d.org", "@d.org"});
  CHECK(ladder_of("u-e@d.org", {"+-", true}).keys() == std::vector<std::string>{"u-e@d.org", "u@d.org", "@d.org"});
}

TEST_CASE("mailboxes") {
  const struct {
    const char* what;
    TableRows rows;
    const char* address;
    const char* expected;  // address and extension, "-", "disabled"
  } cases[] = {
      {"none", {}, "u@d.org", "-"},
      {"full", user("u@d.org"), "u@d.org", "u@d.org"},
      {"any case", user("U@D.org"), "u@D.ORG", "u@d.org"},
      {"extension off", user("u@d.org"), "u+a@d.org", "u@d.org +a"},
      {"extension with more of them", user("u@d.org"), "u+a+b@d.org", "u@d.org +a+b"},
      {"full before stripped", user("u@d.org") + user("u+a@d.org"), "u+a@d.org", "u+a@d.org"},
      {"disabled", user("u@d.org", "0"), "u@d.org", "disabled"},
      {"disabled stops", user("u+a@d.org", "0") + user("u@d.org"), "u+a@d.org", "disabled"},
      {"stripped and disabled", user("u@d.org", "0"), "u+a@d.org", "disabled"},
      {"through the alias domain", user("u@d.org"), "u@alias.org", "u@d.org"},
      {"through it with extension", user("u@d.org"), "u+a@alias.org", "u@d.org +a"},
      {"through it, full before stripped", user("u@d.org") + user("u+a@d.org"), "u+a@alias.org", "u+a@d.org"},
      {"own row in the alias domain first", user("u@d.org") + user("u@alias.org"), "u@alias.org", "u@alias.org"},
      {"stripped there before full behind", user("u+a@d.org") + user("u@alias.org"), "u+a@alias.org", "u@alias.org +a"},
      {"disabled behind the alias domain", user("u@d.org", "0"), "u@alias.org", "disabled"},
      {"disabled before it stops", user("u@d.org") + user("u@alias.org", "0"), "u@alias.org", "disabled"},
      {"an alias is no mailbox", alias("u@d.org", "v@d.org"), "u@d.org", "-"},
      {"an alias does not hide a mailbox", alias("u@d.org", "v@d.org") + user("u@d.org"), "u@d.org", "u@d.org"},
      {"a catch-all is no mailbox", alias("@d.org", "v@d.org"), "u@d.org", "-"},
      {"two rows", user("u@d.org") + user("U@d.org"), "u@d.org", "fail"},
      {"two rows on a rung above do not matter", user("u@d.org") + user("U@d.org") + user("u+a@d.org"), "u+a@d.org",
       "u+a@d.org"},
      {"a domain as the row spells it", user("u@bücher.example"), "u@xn--bcher-kva.example", "u@bücher.example"},
      {"and the other way", user("u@xn--bcher-kva.example"), "u@BÜCHER.example", "u@xn--bcher-kva.example"},
      {"accents differ", user("é@d.org"), "e@d.org", "-"},
      {"accents match", user("É@d.org"), "é@d.org", "é@d.org"},
      {"quoted is the same as bare", user("u@d.org"), "\"u\"@d.org", "u@d.org"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    CHECK(mailbox(c.rows, c.address) == c.expected);
  }
  CHECK(mailbox(user("u@d.org"), "u+a@d.org", {"", true}) == "-");
  CHECK(mailbox(user("u@d.org"), "u-a+b@d.org", {"+-", true}) == "u@d.org -a+b");
}

TEST_CASE("aliases") {
  const TableRows to_b = alias("a@d.org", "b@d.org");
  const TableRows all = alias("@d.org", "all@x.org");
  const struct {
    const char* what;
    TableRows rows;
    const char* address;
    const char* expected;  // destinations, "-", "disabled", "fail"
  } cases[] = {
      {"none", {}, "a@d.org", "-"},
      {"one", to_b, "a@d.org", "b@d.org"},
      {"two, in their order", alias("a@d.org", "z@x.org") + alias("a@d.org", "b@d.org"), "a@d.org", "z@x.org b@d.org"},
      {"extension put back", to_b, "a+e@d.org", "b+e@d.org"},
      {"on each", alias("a@d.org", "b@d.org, c@x.org"), "a+e@d.org", "b+e@d.org c+e@x.org"},
      {"on a bare name", alias("a@d.org", "root"), "a+e@d.org", "root+e"},
      {"even if there is one", alias("a@d.org", "b+f@x.org"), "a+e@d.org", "b+f+e@x.org"},
      {"not when it was matched", alias("a+e@d.org", "b@d.org") + to_b, "a+e@d.org", "b@d.org"},
      {"@other keeps the user", alias("a@d.org", "@x.org"), "a@d.org", "a@x.org"},
      {"@other and the extension", alias("a@d.org", "@x.org"), "a+e@d.org", "a+e@x.org"},
      {"a plain mailbox", user("a@d.org"), "a@d.org", "-"},
      {"a plain mailbox with extension", user("a@d.org"), "a+e@d.org", "-"},
      {"the alias beats the mailbox", user("a@d.org") + to_b, "a@d.org", "b@d.org"},
      {"and a disabled one", user("a@d.org", "0") + to_b, "a@d.org", "b@d.org"},
      {"disabled alias", alias("a@d.org", "b@d.org", "0"), "a@d.org", "disabled"},
      {"one of two disabled", alias("a@d.org", "b@d.org", "0") + alias("a@d.org", "c@d.org"), "a@d.org", "c@d.org"},
      {"disabled alias of a mailbox", alias("a@d.org", "b@d.org", "0") + user("a@d.org"), "a@d.org", "-"},
      {"disabled alias of a disabled mailbox", alias("a@d.org", "b@d.org", "0") + user("a@d.org", "0"), "a@d.org",
       "disabled"},
      {"no address", alias("a@d.org", ""), "a@d.org", "fail"},
      {"catch-all", all, "anybody@d.org", "all@x.org"},
      {"catch-all, nothing put back", all, "anybody+e@d.org", "all@x.org"},
      {"catch-all to @other", alias("@d.org", "@x.org"), "u+e@d.org", "u+e@x.org"},
      {"catch-all shadows no mailbox", all + user("a@d.org"), "a@d.org", "-"},
      {"nor one with extension", all + user("a@d.org"), "a+e@d.org", "-"},
      {"nor a disabled one", all + user("a@d.org", "0"), "a@d.org", "disabled"},
      {"nor a disabled one with extension", all + user("a@d.org", "0"), "a+e@d.org", "disabled"},
      {"nor an alias", all + to_b, "a@d.org", "b@d.org"},
      {"nor a disabled alias", all + alias("a@d.org", "b@d.org", "0"), "a@d.org", "disabled"},
      {"disabled catch-all", alias("@d.org", "all@x.org", "0"), "a@d.org", "disabled"},
      {"the alias domain leads to the mailbox", user("u@d.org"), "u@alias.org", "u@d.org"},
      {"with its extension", user("u@d.org"), "u+e@alias.org", "u+e@d.org"},
      {"with the mailbox that has it", user("u+e@d.org"), "u+e@alias.org", "u+e@d.org"},
      {"a disabled mailbox behind it", user("u@d.org", "0"), "u@alias.org", "disabled"},
      {"an alias behind it", to_b, "a@alias.org", "b@d.org"},
      {"an alias behind it with extension", to_b, "a+e@alias.org", "b+e@d.org"},
      {"an alias in it is first", alias("a@alias.org", "c@x.org") + to_b, "a@alias.org", "c@x.org"},
      {"its own catch-all is first", alias("@alias.org", "x@x.org") + all, "u@alias.org", "x@x.org"},
      {"the catch-all behind it", all, "u@alias.org", "all@x.org"},
      {"its catch-all shadows no mailbox behind it", alias("@alias.org", "x@x.org") + user("u@d.org"), "u@alias.org",
       "u@d.org"},
      {"a mailbox in it", user("u@alias.org"), "u@alias.org", "-"},
      {"two mailboxes", user("u@d.org") + user("U@d.org"), "u@d.org", "fail"},
      {"two mailboxes, but the alias is first", user("u@d.org") + user("U@d.org") + alias("u+e@d.org", "c@x.org"),
       "u+e@d.org", "c@x.org"},
      {"IDN", alias("u@bücher.example", "v@x.org"), "U+e@xn--bcher-kva.example", "v+e@x.org"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    CHECK(aliases(c.rows, c.address) == c.expected);
  }
}

TEST_CASE("extensions are not put back when that is off") {
  const Extensions extensions{"+", false};
  CHECK(aliases(alias("a@d.org", "b@d.org"), "a+e@d.org", extensions) == "b@d.org");
  CHECK(aliases(alias("a@d.org", "@x.org"), "a+e@d.org", extensions) == "a@x.org");
  CHECK(aliases(user("u@d.org"), "u+e@alias.org", extensions) == "u@d.org");
  CHECK(aliases(user("u+e@d.org"), "u+e@alias.org", extensions) == "u+e@d.org");
}

TEST_CASE("logins: the address as it is, or through an alias domain") {
  CHECK(login({{"u@d.org", "1", "{SSHA}x"}}, "U@d.org") == "u@d.org {SSHA}x");
  CHECK(login({{"u@d.org", "1", "x"}}, "u@alias.org") == "u@d.org x");
  CHECK(login({{"u@d.org", "1", "x"}}, "u+e@d.org") == "-");
  CHECK(login({{"u@d.org", "0", "x"}}, "u@d.org") == "disabled");
  CHECK(login({{"u@d.org", "1", "x"}, {"U@d.org", "1", "x"}}, "u@d.org") == "fail");
  CHECK(login({{"ü@d.org", "1", "x"}}, "u@d.org") == "-");
  CHECK(login({{"u@bücher.example", "1", "x"}}, "u@xn--bcher-kva.example") == "u@bücher.example x");
}

TEST_CASE("the state of a mailbox") {
  const auto both = [](const Rules& rules, const char* address = "u@d.org") {
    return mailbox(user("u@d.org"), address, {}, rules) + ", " + login({{"u@d.org", "1", "x"}}, "u@d.org", rules);
  };
  CHECK(both(states({})) == "u@d.org, u@d.org x");
  CHECK(both(states({{"u@d.org", "no-login"}})) == "u@d.org, disabled");
  CHECK(both(states({{"u@d.org", "no-mail"}})) == "disabled, u@d.org x");
  CHECK(both(states({{"u@d.org", "hold"}})) == "u@d.org on hold, u@d.org x");
  CHECK(both(states({{"u@d.org", "hold"}, {"u@d.org", "no-login"}})) == "u@d.org on hold, disabled");
  CHECK(both(states({{"@d.org", "no-mail"}})) == "disabled, u@d.org x");
  CHECK(both(states({{"@d.org", "no-mail"}, {"u@d.org", "on"}})) == "u@d.org, u@d.org x");
  CHECK(both(states({{"@d.org", "no-mail"}, {"u@d.org", "no-login"}})) == "u@d.org, disabled");
  CHECK(both(states({{"other@d.org", "no-mail"}})) == "u@d.org, u@d.org x");
  CHECK(both(states({{"@alias.org", "no-mail"}})) == "u@d.org, u@d.org x");
  CHECK(both(states({{"u@d.org", "asleep"}})) == "fail, fail");
  CHECK(both(states({{"u@d.org", ""}})) == "fail, fail");
  CHECK(both(states({{"u@d.org", "no-mail"}}), "u+e@alias.org") == "disabled, u@d.org x");
  CHECK(both(states({{"u@d.org", "hold"}}), "u+e@alias.org") == "u@d.org +e on hold, u@d.org x");
  // No fall-through to what comes after the mailbox.
  const TableRows rows = user("u@d.org") + alias("@d.org", "all@d.org");
  CHECK(mailbox(rows, "u@d.org", {}, states({{"u@d.org", "no-mail"}})) == "disabled");
  CHECK(aliases(rows, "u@d.org") == "-");
}

TEST_CASE("a row that is not known leaves the question open") {
  class Partly final : public RowSource {
   public:
    const AddressRow* find(std::string_view key) override { return key == "u+e@d.org" ? &empty_ : nullptr; }

   private:
    AddressRow empty_;
  };
  Partly rows;
  const Ladder ladder = ladder_of("u+e@d.org", {});
  auto mailbox = vmail::Outcome<Mailbox>::not_found();
  auto aliases = vmail::Outcome<AddressList>::not_found();
  CHECK_FALSE(resolve_mailbox(ladder, {}, {}, rows, mailbox));
  CHECK_FALSE(resolve_aliases(ladder, {}, {}, rows, aliases));
}
