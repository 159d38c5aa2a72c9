// From what the database returns to rows that count.
#include <random>
#include "shared/directory/sql_database.h"
#include "tests/support/catch.h"

using namespace vmail::directory;
using vmail::mysql::Row;
using Box = AddressRow::Mailbox;

namespace {

const auto kNull = std::nullopt;

AddressRow row_of(const std::string& key, std::vector<Row> rows) {
  return read_addresses({key}, std::move(rows)).at(key);
}

}  // namespace

TEST_CASE("every key that was asked for has a row") {
  const auto rows = read_addresses({"a@x.org", "@x.org"}, {});
  CHECK(rows.size() == 2);
  CHECK(rows.at("a@x.org").empty());
  CHECK(rows.at("@x.org").empty());
}

TEST_CASE("a collation does not make other letters, case or blanks equal") {
  const struct {
    const char* stored;
    bool counts;
  } cases[] = {
      {"emile@x.org", true},   {"Emile@X.Org", true},    {"émile@x.org", false},
      {"emile@x.org ", false}, {" emile@x.org", false},  {"emilé@x.org", false},
      {"emile@x.örg", false},  {"emile@x.org\t", false}, {"ﬁemile@x.org", false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.stored);
    CHECK(row_of("emile@x.org", {{"user", "1", c.stored, "1", kNull}}).empty() != c.counts);
    CHECK(row_of("emile@x.org", {{"alias", "1", c.stored, "1", "b@y.org"}}).empty() != c.counts);
    CHECK(read_credentials({"emile@x.org"}, {{c.stored, "1", "hash"}}).at("emile@x.org").exists == c.counts);
  }
}

TEST_CASE("only 1 is on") {
  const struct {
    vmail::mysql::Value enable;
    bool on;
  } cases[] = {{"1", true}, {"0", false}, {"2", false}, {"-1", false}, {kNull, false}, {"", false}, {"01", false}};
  for (const auto& c : cases) {
    CAPTURE(c.enable.value_or("NULL"));
    CHECK(row_of("a@x.org", {{"user", "1", "a@x.org", c.enable, kNull}}).mailbox == (c.on ? Box::On : Box::Off));
    CHECK(read_credentials({"a@x.org"}, {{"a@x.org", c.enable, "hash"}}).at("a@x.org").on == c.on);
    const auto alias = row_of("a@x.org", {{"alias", "1", "a@x.org", c.enable, "b@y.org"}});
    CHECK(alias.destinations.size() == (c.on ? 1 : 0));
    CHECK(alias.aliases_off != c.on);
  }
}

TEST_CASE("two mailboxes where one is due are a fault, not a guess") {
  const std::vector<Row> rows = {{"user", "1", "a@x.org", "1", kNull}, {"user", "2", "A@X.org", "1", kNull}};
  CHECK(row_of("a@x.org", rows).fault.find("two mailboxes") != std::string::npos);
  CHECK(read_credentials({"a@x.org"}, {{"a@x.org", "1", "h"}, {"A@x.org", "1", "h"}}).at("a@x.org").fault != "");
  // The same mailbox under both spellings of its domain, too.
  CHECK(row_of("a@xn--bcher-kva.example",
               {{"user", "1", "a@xn--bcher-kva.example", "1", kNull}, {"user", "2", "a@bücher.example", "1", kNull}})
            .fault != "");
}

TEST_CASE("a login comes with what it may be used for, and with its app passwords") {
  const Row login = {"u@x.org", "1", "hash", kNull, "IMAP smtp", "192.0.2.0/24", "10", "9000000000", "1,s,a,b", "1"};
  const Row phone = {"U@x.org", "1", "h1", "abcdefgh", "imap", "", "0", "77", kNull, "0", "7", "phone"};
  const Row tablet = {"u@x.org", "1", "h2", "bcdefghi", "", "", "0", "0", kNull, "0", "8", ""};
  for (const auto& rows : {std::vector<Row>{login, phone, tablet}, {phone, tablet, login}}) {
    const auto read = read_credentials({"u@x.org", "v@x.org"}, rows);
    const auto& row = read.at("u@x.org");
    CHECK(row.fault.empty());
    CHECK(row.hash.text() == "hash");
    CHECK(row.access == Access{"imap smtp", "192.0.2.0/24", 10, 9000000000});
    CHECK(row.scram.text() == "1,s,a,b");
    CHECK(row.app_passwords_only);
    REQUIRE(row.app_passwords.size() == 2);
    CHECK(row.app_passwords[0].id == 7);
    CHECK(row.app_passwords[0].selector == "abcdefgh");
    CHECK(row.app_passwords[0].label == "phone");
    CHECK(row.app_passwords[0].hash.text() == "h1");
    CHECK(row.app_passwords[0].access == Access{"imap", "", 0, 77});
    CHECK(row.app_passwords[1].access == Access{});
    CHECK_FALSE(read.at("v@x.org").exists);

    const CredentialRow copied = row.copy();
    CHECK(copied.scram.text() == "1,s,a,b");
    CHECK(copied.access == row.access);
    CHECK(copied.app_passwords_only);
    REQUIRE(copied.app_passwords.size() == 2);
    CHECK(copied.app_passwords[1].hash.text() == "h2");
  }
}

TEST_CASE("app passwords without a user count for nothing, and too many for a fault") {
  const auto app = [](int number) {
    const std::string id = std::to_string(number);
    return Row{"u@x.org", "1", "h", "sel" + id, "", "", "0", "0", kNull, "0", id, ""};
  };
  CHECK_FALSE(read_credentials({"u@x.org"}, {app(1)}).at("u@x.org").exists);
  CHECK(read_credentials({"u@x.org"}, {app(1)}).at("u@x.org").app_passwords.empty());
  std::vector<Row> rows = {{"u@x.org", "1", "hash"}};
  for (std::size_t i = 0; i < kMaxAppPasswords; ++i) rows.push_back(app(int(i)));
  CHECK(read_credentials({"u@x.org"}, rows).at("u@x.org").fault.empty());
  rows.push_back(app(0));
  CHECK(read_credentials({"u@x.org"}, rows).at("u@x.org").fault.find("more than 100") != std::string::npos);
}

TEST_CASE("a time that is no number is a fault") {
  for (const char* bad : {"2027-01-01", "1x", " 1", "99999999999999999999"}) {
    CAPTURE(bad);
    const Row login = {"u@x.org", "1", "hash", kNull, "", "", "0", bad, kNull, "0"};
    CHECK(read_credentials({"u@x.org"}, {login}).at("u@x.org").fault.find("no time") != std::string::npos);
  }
}

TEST_CASE("destinations: in the order of entry, each once, split at commas") {
  const auto row = row_of("all@x.org", {{"alias", "10", "all@x.org", "1", "c@x.org"},
                                        {"alias", "9", "all@x.org", "1", "a@x.org, b@x.org"},
                                        {"alias", "11", "All@x.org", "1", "a@x.org"},
                                        {"alias", "12", "all@x.org", "0", "d@x.org"},
                                        {"alias", "13", "all@x.org", "1", "\"q,r\"@x.org"}});
  CHECK(row.destinations == vmail::AddressList{"a@x.org", "b@x.org", "c@x.org", "\"q,r\"@x.org"});
  CHECK_FALSE(row.aliases_off);
  CHECK(row.fault.empty());
}

TEST_CASE("a destination that is no address is a fault") {
  for (const auto& destination : std::vector<vmail::mysql::Value>{kNull, "", " ", "a@x.org,", "a@x.org\r\nb@x.org",
                                                                  std::string("a\0b@x.org", 9), "\xff@x.org"}) {
    CHECK(row_of("a@x.org", {{"alias", "1", "a@x.org", "1", destination}}).fault != "");
  }
}

TEST_CASE("the spelling of the domain is the row's") {
  CHECK(row_of("a@xn--bcher-kva.example", {{"user", "1", "A@Bücher.example", "1", kNull}}).domain == "bücher.example");
  CHECK(row_of("a@x.org", {{"user", "1", "A@X.ORG", "1", kNull}}).domain == "");
}

TEST_CASE("domains: sets, doubles and targets") {
  const auto domains = read_domains({{"own", "Example.org", kNull},
                                     {"own", "example.org", kNull},
                                     {"own", "bücher.example", kNull},
                                     {"relay", "example.org", kNull},
                                     {"relay", "relay.example", kNull},
                                     {"alias", "alias.example", "EXAMPLE.org"},
                                     {"alias", "idn.example", "xn--bcher-kva.example"},
                                     {"alias", "dead.example", "nowhere.example"},
                                     {"alias", "chain.example", "alias.example"},
                                     {"alias", "null.example", kNull},
                                     {"own", kNull, kNull}},
                                    7);
  CHECK(domains->size() == 5);
  CHECK(domains->schema_version == 7);
  CHECK(domains->find("example.org")->kind == DomainKind::Own);
  CHECK(domains->find("xn--bcher-kva.example")->kind == DomainKind::Own);
  CHECK(domains->find("relay.example")->kind == DomainKind::Relay);
  CHECK(domains->find("alias.example")->kind == DomainKind::Alias);
  CHECK(domains->find("alias.example")->target == "example.org");
  CHECK(domains->find("idn.example")->target == "xn--bcher-kva.example");
  CHECK(domains->find("dead.example") == nullptr);
  CHECK(domains->find("chain.example") == nullptr);
  CHECK(domains->find("foreign.example") == nullptr);
}

TEST_CASE("rows are the same whether some are read or all") {
  std::mt19937 random(3);
  const std::vector<std::string> keys = {"a@x.test", "b@x.test", "@x.test", "c@xn--bcher-kva.test"};
  const char* const addresses[] = {"a@x.test", "A@X.test", "b@x.test", "@x.test", "c@bücher.test", "other@x.test"};
  const char* const destinations[] = {"d@x.test", "e@x.test", "d@x.test, f@x.test", "g@x.test,", "\x01", "D@x.test"};
  for (int round = 0; round < 2000; ++round) {
    std::vector<Row> rows;
    for (auto count = random() % 7; count > 0; --count) {
      const std::string id = std::to_string(random() % 100), enable = random() % 3 == 0 ? "0" : "1";
      if (random() % 4 == 0) {
        rows.push_back({"user", id, addresses[random() % 6], enable, std::nullopt});
      } else {
        rows.push_back({"alias", std::to_string(1000 + rows.size()), addresses[random() % 6], enable,
                        random() % 20 == 0 ? vmail::mysql::Value() : destinations[random() % 6]});
      }
    }
    RowSet::Builder builder(1u << 20);
    AddressPart part;
    for (const auto& row : rows) {
      const std::vector<std::optional<std::string_view>> cells(row.begin(), row.end());
      if (read_part(cells, part)) builder.add(part.key, part.order, part.row);
    }
    const auto all = builder.finish();
    const auto some = read_addresses(keys, rows);
    REQUIRE(some.size() == keys.size());
    for (const auto& [key, row] : some) {
      AddressRow of_all;
      all->find(key, of_all);
      CAPTURE(key, round);
      CHECK(of_all == row);
    }
  }
}

TEST_CASE("a note says which rows are to be read again") {
  using Kind = Change::Kind;
  const auto note = read_note({"18446744073709551615", "words", "address", "Anna@Bücher.TEST"});
  CHECK(note.id == 18446744073709551615u);
  CHECK(note.witness == "words");
  CHECK(note.change == Change{Kind::Address, "anna@xn--bcher-kva.test"});
  CHECK(read_note({"1", "", "address", "@X.test"}).change == Change{Kind::Address, "@x.test"});
  CHECK(read_note({"1", "", "domain", "Bücher.TEST"}).change == Change{Kind::Domain, "xn--bcher-kva.test"});
  CHECK(read_note({"1", "", "rules", "*"}).change.kind == Kind::Rules);
  CHECK_FALSE(read_note({"1", "", "rules", ""}).change.key.empty());
  CHECK(read_note({"1", "", "everything", ""}).change.kind == Kind::All);
  // Of a later version: it may mean anything.
  CHECK(read_note({"1", "", "quota", "x"}).change.kind == Kind::All);
  CHECK(read_note({"1", "", "start", ""}).change.key.empty());
}

TEST_CASE("rules: kinds that are not known are left out, and said") {
  const auto rules = read_rules({{"quota", "a@x.org", "1G"},
                                 {"greeting", "a@x.org", "hello"},
                                 {"quota", "b@x.org", kNull},
                                 {kNull, kNull, kNull}});
  CHECK(rules->size() == 2);
  CHECK(rules->find(RuleKind::Quota, "a@x.org")->contains("1G"));
  CHECK(rules->find(RuleKind::Quota, "b@x.org")->empty());
  CHECK(rules->left_out == "there is no kind 'greeting' of rules");
  CHECK(rules->fault.empty());
}
