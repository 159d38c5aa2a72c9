#include "sql/vmailctl/upgrade_file.h"

#include "sql/vmailctl/sql_texts.h"
#include "tests/support/catch.h"

using namespace vmail::sql;

namespace {

const std::string kHead =
    "-- upgrade: what it is for\n"
    "-- old-daemons: keep working\n"
    "--\n"
    "-- Prose: with a colon, which is no directive before the first step... unless it looks like one.\n"
    "\n";

const std::string kStep =
    "-- step: a column\n"
    "-- unless: SELECT 1\n"
    "--   FROM there\n"
    "ALTER TABLE t\n"
    "  ADD COLUMN c int;\n";

std::string error_of(const std::string& name, const std::string& text) {
  try {
    parse_upgrade(name, text);
  } catch (const UpgradeFileError& error) {
    return error.what();
  }
  return "";
}

std::string error_of(const std::string& text) {
  return error_of("0007-test.sql", text);
}

bool has(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an upgrade file is read with all its parts") {
  const UpgradeFile file = parse_upgrade("0007-test.sql", kHead + kStep +
                                                              "\n"
                                                              "-- step: a unique index\n"
                                                              "-- unless: SELECT 2\n"
                                                              "-- blocked-by: SELECT 'a: b',\n"
                                                              "--   'c' FROM x\n"
                                                              "-- needed: all go by it\n"
                                                              "CREATE UNIQUE INDEX i ON t (c);\n"
                                                              "-- while-blocked: a plain index\n"
                                                              "-- unless: SELECT 3\n"
                                                              "CREATE INDEX j ON t (c);\n");
  CHECK(file.version == 7);
  CHECK(file.name == "test");
  CHECK(file.what == "what it is for");
  CHECK(file.old_daemons == "keep working");
  REQUIRE(file.steps.size() == 2);
  CHECK(file.steps[0].action.what == "a column");
  CHECK(file.steps[0].action.unless == "SELECT 1 FROM there");
  CHECK(file.steps[0].action.statement == "ALTER TABLE t\n  ADD COLUMN c int");
  CHECK(file.steps[0].blocked_by.empty());
  CHECK_FALSE(file.steps[0].stand_in);
  CHECK(file.steps[1].action.statement == "CREATE UNIQUE INDEX i ON t (c)");
  CHECK(file.steps[1].blocked_by == "SELECT 'a: b', 'c' FROM x");
  CHECK(file.steps[1].needed == "all go by it");
  CHECK(file.steps[0].needed.empty());
  REQUIRE(file.steps[1].stand_in);
  CHECK(file.steps[1].stand_in->what == "a plain index");
  CHECK(file.steps[1].stand_in->unless == "SELECT 3");
  CHECK(file.steps[1].stand_in->statement == "CREATE INDEX j ON t (c)");
}

TEST_CASE("what is wrong with an upgrade file is told with its line") {
  CHECK(error_of("7-test.sql", kHead + kStep) == "7-test.sql:0: the name is not NNNN-what.sql");
  CHECK(has(error_of("0000-test.sql", kHead + kStep), "the name is not"));
  CHECK(has(error_of("0001-test.txt", kHead + kStep), "the name is not"));
  CHECK(has(error_of("0001", kHead + kStep), "the name is not"));

  CHECK(has(error_of(""), "no '-- upgrade:'"));
  CHECK(has(error_of("-- upgrade: x\n" + kStep), "no '-- old-daemons:'"));
  CHECK(has(error_of(kHead), "no '-- step:'"));
  CHECK(error_of(kHead + "-- upgrade: again\n") == "0007-test.sql:6: '-- upgrade:' stands here twice");
  CHECK(error_of(kHead + "-- unless: SELECT 1\n") ==
        "0007-test.sql:6: '-- unless:' is not known before the first step");
  CHECK(error_of(kHead + "SELECT 1;\n") == "0007-test.sql:6: a statement outside any step");
  CHECK(error_of(kHead + "--   more\n") == "0007-test.sql:6: this line continues no directive");

  const std::string step = kHead + "-- step: s\n";
  CHECK(has(error_of(step + "ALTER TABLE t;\n"), "step 's' has no '-- unless:'"));
  CHECK(has(error_of(step + "-- unless: SELECT 1\n"), "has no statement that ends in ';'"));
  CHECK(has(error_of(step + "-- unless: SELECT 1\nALTER TABLE t\n"), "has no statement that ends in ';'"));
  CHECK(error_of(step + "-- unles: SELECT 1\n") == "0007-test.sql:7: '-- unles:' is not known in a step");
  CHECK(has(error_of(step + "-- some prose\n"), "7: a comment inside a step that is no directive"));
  CHECK(has(error_of(step + "-- unless: SELECT 1\nA;\nB;\n"), "9: a second statement in one step"));
  CHECK(has(error_of(step + "-- unless: SELECT 1\nA;\n-- unless: SELECT 2\n"), "9: '-- unless:' stands behind"));
  CHECK(has(error_of(step + "-- unless: SELECT 1\nA;\n-- while-blocked: x\n"), "needs one '-- blocked-by:'"));
  CHECK(has(error_of(step + "-- unless: SELECT 1\n-- needed: x\n"), "'-- needed:' needs a '-- blocked-by:'"));
  CHECK(has(error_of(step + "-- unless: SELECT 1\n-- blocked-by: SELECT 2\nA;\n-- while-blocked: x\n"
                            "-- blocked-by: SELECT 3\n"),
            "'-- blocked-by:' stands"));
}

TEST_CASE("the upgrades of this program are in order and without a gap") {
  int expected = 1;
  for (const auto& text : upgrade_texts()) {
    const UpgradeFile file = parse_upgrade(text.name, text.text);
    CHECK(file.version == expected);
    ++expected;
  }
  CHECK(expected > 1);
}

TEST_CASE("schema.sql notes each upgrade by its number and name") {
  REQUIRE(schema_texts().size() == 1);
  const std::string schema(schema_texts()[0].text);
  for (const auto& text : upgrade_texts()) {
    const UpgradeFile file = parse_upgrade(text.name, text.text);
    CHECK(has(schema, "(" + std::to_string(file.version) + ", '" + file.name + "')"));
  }
}

TEST_CASE("a plain SQL file falls into its statements") {
  CHECK(split_statements("").empty());
  CHECK(split_statements("-- only a comment;\n\n").empty());
  const auto statements = split_statements("-- first\nCREATE TABLE a (\n  -- inside\n  b int\n);\n\nDROP TABLE c;\n");
  REQUIRE(statements.size() == 2);
  CHECK(statements[0] == "CREATE TABLE a (\nb int\n)");
  CHECK(statements[1] == "DROP TABLE c");
  CHECK(split_statements("SELECT 1").size() == 1);
}
