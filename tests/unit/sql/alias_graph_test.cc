#include "sql/vmailctl/alias_graph.h"

#include "tests/support/catch.h"

using namespace vmail::sql;

namespace {

using Strings = std::vector<std::string>;

// Rows in memory: own domains d.test and e.test, alias domain a.test of d.test.
class Rows : public AliasView {
 public:
  Strings destinations(const std::string& source) override {
    const auto found = aliases.find(source);
    return found == aliases.end() ? Strings{} : found->second;
  }
  bool mailbox(const std::string& address) override { return mailboxes.count(address) == 1; }
  std::optional<std::string> alias_target(const std::string& domain) override {
    if (domain == "a.test") return "d.test";
    return std::nullopt;
  }
  bool own_domain(const std::string& domain) override { return domain == "d.test" || domain == "e.test"; }

  std::map<std::string, Strings> aliases;
  std::set<std::string> mailboxes;
};

}  // namespace

TEST_CASE("an address without aliases ends where it is") {
  Rows rows;
  rows.mailboxes = {"u@d.test"};
  CHECK(trace(rows, "u@d.test", "+").ends == Strings{"u@d.test"});
  CHECK(trace(rows, "u+x@d.test", "+").ends == Strings{"u@d.test"});
  CHECK(trace(rows, "u@a.test", "+").ends == Strings{"u@d.test"});
  CHECK(trace(rows, "u+x@a.test", "+").ends == Strings{"u@d.test"});
  CHECK(trace(rows, "x@far.test", "+").ends == Strings{"x@far.test"});
  CHECK(trace(rows, "u+x@d.test", "").dead_ends == Strings{"u+x@d.test"});
  CHECK(trace(rows, "nobody@d.test", "+").dead_ends == Strings{"nobody@d.test"});
  CHECK(trace(rows, "nobody@a.test", "+").dead_ends == Strings{"nobody@a.test"});
}

TEST_CASE("aliases are followed to all their ends, each named once") {
  Rows rows;
  rows.mailboxes = {"u@d.test", "v@e.test"};
  rows.aliases["all@d.test"] = {"some@d.test", "u@d.test", "x@far.test"};
  rows.aliases["some@d.test"] = {"v@e.test", "u@d.test"};
  const Trace found = trace(rows, "all@d.test", "+");
  CHECK(found.ends == Strings{"v@e.test", "u@d.test", "x@far.test"});
  CHECK(found.loop.empty());
  CHECK(found.dead_ends.empty());
  CHECK(trace(rows, "all@a.test", "+").ends.size() == 3);
}

TEST_CASE("loops are found, with the way round") {
  Rows rows;
  rows.aliases["a@d.test"] = {"b@d.test"};
  rows.aliases["b@d.test"] = {"c@e.test"};
  rows.aliases["c@e.test"] = {"a@d.test"};
  CHECK(trace(rows, "a@d.test", "+").loop == Strings{"a@d.test", "b@d.test", "c@e.test", "a@d.test"});
  rows.aliases["in@d.test"] = {"b@d.test"};
  CHECK(trace(rows, "in@d.test", "+").loop == Strings{"b@d.test", "c@e.test", "a@d.test", "b@d.test"});

  SECTION("through the alias domain") {
    rows.aliases = {{"a@d.test", {"a@a.test"}}};
    CHECK_FALSE(trace(rows, "a@d.test", "+").loop.empty());
  }
  SECTION("through catch-alls that lead to each other") {
    rows.aliases = {{"@d.test", {"@e.test"}}, {"@e.test", {"@d.test"}}};
    CHECK(trace(rows, "@d.test", "+").loop == Strings{"@d.test", "@e.test", "@d.test"});
    CHECK(trace(rows, "any@d.test", "+").loop == Strings{"any@d.test", "any@e.test", "any@d.test"});
  }
  SECTION("through a catch-all that takes what is not there") {
    rows.aliases = {{"@d.test", {"x@e.test"}}, {"x@e.test", {"missing@d.test"}}};
    CHECK_FALSE(trace(rows, "@d.test", "+").loop.empty());
  }
}

TEST_CASE("a row that names its own source means the mailbox there") {
  Rows rows;
  rows.mailboxes = {"u@d.test"};
  rows.aliases["u@d.test"] = {"u@d.test", "x@far.test"};
  CHECK(trace(rows, "u@d.test", "+").ends == Strings{"u@d.test", "x@far.test"});
  CHECK(trace(rows, "u+ext@d.test", "+").ends == Strings{"u@d.test", "x+ext@far.test"});
  rows.mailboxes.clear();
  CHECK(trace(rows, "u@d.test", "+").dead_ends == Strings{"u@d.test"});
}

TEST_CASE("a catch-all takes what nothing else does") {
  Rows rows;
  rows.mailboxes = {"u@d.test", "info@d.test"};
  rows.aliases["@d.test"] = {"info@d.test"};
  CHECK(trace(rows, "any@d.test", "+").ends == Strings{"info@d.test"});
  CHECK(trace(rows, "u@d.test", "+").ends == Strings{"u@d.test"});
  CHECK(trace(rows, "any@a.test", "+").ends == Strings{"info@d.test"});
  SECTION("the alias domain's own comes first") {
    rows.aliases["@a.test"] = {"u@d.test"};
    CHECK(trace(rows, "any@a.test", "+").ends == Strings{"u@d.test"});
  }
  SECTION("a whole domain to another one") {
    rows.aliases["@e.test"] = {"@d.test"};
    CHECK(trace(rows, "u@e.test", "+").ends == Strings{"u@d.test"});
    rows.aliases["@d.test"] = {"@far.test"};
    CHECK(trace(rows, "any@e.test", "+").ends == Strings{"any@far.test"});
    CHECK(trace(rows, "@e.test", "+").ends == Strings{"@far.test"});
  }
  SECTION("one that leads to nobody is no loop") {
    rows.aliases["@d.test"] = {"missing@d.test"};
    CHECK(trace(rows, "@d.test", "+").loop.empty());
    CHECK(trace(rows, "@d.test", "+").dead_ends == Strings{"missing@d.test"});
  }
}

TEST_CASE("the walk is bounded") {
  Rows rows;
  for (int i = 0; i < 2000; ++i) rows.aliases["big@d.test"].push_back(std::to_string(i) + "@far.test");
  CHECK(trace(rows, "big@d.test", "+").too_many);
  rows.aliases.clear();
  for (int i = 0; i < 2000; ++i) {
    rows.aliases["c" + std::to_string(i) + "@d.test"] = {"c" + std::to_string(i + 1) + "@d.test"};
  }
  CHECK(trace(rows, "c0@d.test", "+").too_many);
}

TEST_CASE("a changed view shows the rows as they would be") {
  Rows rows;
  rows.mailboxes = {"u@d.test"};
  rows.aliases["a@d.test"] = {"u@d.test"};
  ChangedView after(rows);
  CHECK(trace(after, "a@d.test", "+").ends == Strings{"u@d.test"});
  after.remove_mailbox("u@d.test");
  CHECK(trace(after, "a@d.test", "+").dead_ends == Strings{"u@d.test"});
  after.set_destinations("u@d.test", {"x@far.test"});
  CHECK(trace(after, "a@d.test", "+").ends == Strings{"x@far.test"});
  CHECK(trace(rows, "a@d.test", "+").ends == Strings{"u@d.test"});
}
