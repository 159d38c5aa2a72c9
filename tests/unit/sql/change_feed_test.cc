#include "sql/vmailctl/change_feed.h"

#include <set>
#include <stdexcept>

#include "sql/vmailctl/sql_texts.h"
#include "tests/support/catch.h"

using namespace vmail::sql;

TEST_CASE("each table of mail has a trigger for each kind of change, and there are three routines") {
  const auto objects = parse_feed(feed_texts().front().text);
  std::set<std::string> names,
      expected = {"FUNCTION vmailkit_triggers", "PROCEDURE vmailkit_note", "PROCEDURE vmailkit_prune"};
  for (const auto& object : objects) {
    CAPTURE(object.name);
    names.insert(object.kind + ' ' + object.name);
    CHECK(object.body.substr(0, 6) == "BEGIN\n");
    CHECK(object.body.ends_with("\nEND"));
    CHECK((object.signature + object.body).find_first_of("{}") == std::string::npos);
    if (object.kind != "TRIGGER") continue;
    CHECK(object.signature.ends_with(" FOR EACH ROW"));
    // The write that fires it never fails through it.
    CHECK(object.body.find("DECLARE EXIT HANDLER FOR SQLEXCEPTION") != std::string::npos);
  }
  for (const char* table :
       {"domains", "users", "app_passwords", "aliases", "alias_domains", "relay_domains", "rules"}) {
    for (const char* event : {"insert", "update", "delete"}) {
      expected.insert(std::string("TRIGGER vmailkit_") + table + '_' + event);
    }
  }
  CHECK(names == expected);
}

TEST_CASE("an object of the feed is read as name, signature and body") {
  const auto objects = parse_feed(
      "-- remark\n"
      "DELIMITER //\n"
      "\n"
      "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW\n"
      "BEGIN\n"
      "  SELECT 1;\n"
      "END//\n"
      "CREATE FUNCTION f() RETURNS int\n"
      "READS SQL DATA\n"
      "BEGIN\n"
      "END//\n");
  REQUIRE(objects.size() == 2);
  CHECK(objects[0].kind == "TRIGGER");
  CHECK(objects[0].name == "t");
  CHECK(objects[0].signature == " AFTER INSERT ON a FOR EACH ROW");
  CHECK(objects[0].body == "BEGIN\n  SELECT 1;\nEND");
  CHECK(objects[1].kind == "FUNCTION");
  CHECK(objects[1].name == "f");
  CHECK(objects[1].signature == "() RETURNS int\nREADS SQL DATA");
  CHECK_THROWS_AS(parse_feed("CREATE TRIGGER t\nBEGIN\nEND\n"), std::runtime_error);
  CHECK_THROWS_AS(parse_feed("DROP TRIGGER t//\n"), std::runtime_error);
  CHECK_THROWS_AS(parse_feed("CREATE TRIGGER t SELECT 1//\n"), std::runtime_error);
}

TEST_CASE("a pattern is made for each watched table, but where one is written out") {
  const auto objects = parse_feed(
      "WATCH virtual_a address email//\n"
      "WATCH virtual_b domain name enable//\n"
      "CREATE TRIGGER {trigger}_update AFTER UPDATE ON {table} FOR EACH ROW\n"
      "BEGIN\n"
      "  IF NOT ({unchanged}) THEN CALL n('{kind}', OLD.{name}); END IF;\n"
      "END//\n"
      "CREATE TRIGGER vmailkit_b_update BEFORE UPDATE ON virtual_b FOR EACH ROW\n"
      "BEGIN\n"
      "END//\n"
      "CREATE FUNCTION f()\n"
      "BEGIN\n"
      "  SELECT {tables}, {triggers};\n"
      "END//\n");
  REQUIRE(objects.size() == 3);
  CHECK(objects[0].name == "vmailkit_a_update");
  CHECK(objects[0].signature == " AFTER UPDATE ON virtual_a FOR EACH ROW");
  CHECK(
      objects[0].body ==
      "BEGIN\n"
      "  IF NOT (CAST(OLD.email AS BINARY) <=> CAST(NEW.email AS BINARY)) THEN CALL n('address', OLD.email); END IF;\n"
      "END");
  CHECK(objects[1].name == "vmailkit_b_update");
  CHECK(objects[1].signature == " BEFORE UPDATE ON virtual_b FOR EACH ROW");
  CHECK(objects[2].body == "BEGIN\n  SELECT 'virtual_a', 'virtual_b', 6;\nEND");
  CHECK_THROWS_AS(parse_feed("WATCH virtual_a address//\n"), std::runtime_error);
  CHECK_THROWS_AS(parse_feed("WATCH a address email//\n"), std::runtime_error);
}
