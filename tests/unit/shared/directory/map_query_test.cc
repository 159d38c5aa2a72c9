#include "shared/directory/map_query.h"

#include <string>
#include <vector>

#include "shared/config/config.h"
#include "tests/support/catch.h"

using namespace vmail;
using directory::MapQuery;

namespace {

std::string error_of(const std::string& query) {
  try {
    MapQuery({"mine", query});
  } catch (const config::Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("named parameters become markers, and nothing else does") {
  const struct {
    const char* query;
    const char* sql;
  } cases[] = {
      {"SELECT a FROM b WHERE c = :key", "SELECT a FROM b WHERE c = ?"},
      {"  select a from b where c=:user and d=:domain or e = :key\n", "select a from b where c=? and d=? or e = ?"},
      {"SELECT ':key', a FROM b WHERE c = :local", "SELECT ':key', a FROM b WHERE c = ?"},
      {"SELECT 'it''s ?' FROM b WHERE c = :key", "SELECT 'it''s ?' FROM b WHERE c = ?"},
      {"SELECT 'a\\':key' FROM b WHERE c = :key", "SELECT 'a\\':key' FROM b WHERE c = ?"},
      {"SELECT \":key;\", `:user` FROM b WHERE c = :key", "SELECT \":key;\", `:user` FROM b WHERE c = ?"},
      {"SELECT @a := 1 FROM b WHERE c = :key", "SELECT @a := 1 FROM b WHERE c = ?"},
      {"SELECT a -- don't ask :user?\nFROM b WHERE c = :key", "SELECT a -- don't ask :user?\nFROM b WHERE c = ?"},
      {"SELECT a # don't\nFROM b WHERE c = :key /* :x; it's */", "SELECT a # don't\nFROM b WHERE c = ? /* :x; it's */"},
      {"SELECT 3--1 FROM b WHERE c = :key", "SELECT 3--1 FROM b WHERE c = ?"},
      {"WITH t AS (SELECT 1) SELECT * FROM t WHERE :key", "WITH t AS (SELECT 1) SELECT * FROM t WHERE ?"},
  };
  for (const auto& test : cases) {
    CAPTURE(test.query);
    CHECK(MapQuery({"mine", test.query}).sql() == test.sql);
  }
}

TEST_CASE("a query that cannot be is told with its map, and what to do") {
  const std::string begin = "maps.query: the query of the map \"mine\" ";
  CHECK(error_of("DELETE FROM b WHERE c = :key") == begin + "must begin with SELECT");
  CHECK(error_of("") == begin + "must begin with SELECT");
  CHECK(error_of("SELECTED :key") == begin + "must begin with SELECT");
  CHECK(error_of("SELECT 1; DROP TABLE x -- :key") == begin + "has a ';': it must be one SELECT alone");
  CHECK(error_of("SELECT a FROM b WHERE c = ?") == begin + "has a '?': write :key, :local, :user or :domain");
  CHECK(error_of("SELECT a FROM b WHERE c = :adress") ==
        begin + "names :adress; there are :key, :local, :user and :domain");
  CHECK(error_of("SELECT 1") == begin + "asks the same for every key: it has none of :key, :local, :user and :domain");
  CHECK(error_of("SELECT ':key'").find("asks the same for every key") != std::string::npos);
  CHECK(error_of("SELECT 'a FROM b WHERE c = :key") == begin + "has a quote that is not closed");
  CHECK(error_of("SELECT 1 /* :key") ==
        begin + "asks the same for every key: it has none of :key, :local, :user and :domain");
}

TEST_CASE("keys are bound by their parts") {
  const MapQuery all({"mine", "SELECT 1 WHERE :key AND :local AND :user AND :domain AND :key"});
  const auto bound = all.bind("u+ext@d.org", "+");
  REQUIRE(bound);
  CHECK(*bound == std::vector<std::string>{"u+ext@d.org", "u+ext", "u", "d.org", "u+ext@d.org"});
  CHECK(*MapQuery({"mine", "SELECT :user"}).bind("u-ext@d.org", "-") == std::vector<std::string>{"u"});
  CHECK(*MapQuery({"mine", "SELECT :user"}).bind("u+ext@d.org", "") == std::vector<std::string>{"u+ext"});

  // What a key lacks cannot be asked for.
  for (const char* key : {"d.org", "*", "u@", "@d.org", "<>", "192.0.2.1"}) {
    CAPTURE(key);
    CHECK_FALSE(all.bind(key, "+"));
    CHECK(MapQuery({"mine", "SELECT :key"}).bind(key, "+") == std::vector<std::string>{key});
  }
}

TEST_CASE("keys have one spelling") {
  std::string key;
  const struct {
    const char* asked;
    const char* key;
  } cases[] = {
      {"U+Ext@D.Org", "u+ext@d.org"},
      {"leser@B\u00dcCHER.test", "leser@xn--bcher-kva.test"},
      {"B\u00fccher.test", "xn--bcher-kva.test"},
      {"\"u\"@d.org", "u@d.org"},
      {"*", "*"},
      {"<>", "<>"},
      {"192.0.2.1", "192.0.2.1"},
      {"a@b@c", "a@b@c"},
  };
  for (const auto& test : cases) {
    CAPTURE(test.asked);
    CHECK(directory::map_key(test.asked, key));
    CHECK(key == test.key);
  }
  for (const std::string& wrong :
       {std::string(), std::string("a\nb"), std::string("a\0b", 3), std::string("\xff@d.org"), std::string(300, 'x')}) {
    CHECK_FALSE(directory::map_key(wrong, key));
  }
}
