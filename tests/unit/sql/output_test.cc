#include "sql/vmailctl/output.h"

#include <sstream>

#include "tests/support/catch.h"

using namespace vmail::sql;

namespace {

struct Streams {
  std::ostringstream out, err;
  Output people{false, out, err};
  Output programs{true, out, err};
};

const std::vector<Column> kColumns = {{"name", "NAME"}, {"on", "ON"}, {"count", "COUNT"}};

}  // namespace

TEST_CASE("a table for people is aligned by characters") {
  Streams streams;
  streams.people.table(kColumns, Json::array({{{"name", "a"}, {"on", true}, {"count", 12}},
                                              {{"name", "m\u00fcller"}, {"on", false}},
                                              {{"name", ""}, {"on", nullptr}, {"count", Json::array({"x", "y"})}}}));
  CHECK(streams.out.str() ==
        "NAME    ON   COUNT\n"
        "a       yes  12\n"
        "m\u00fcller  no   -\n"
        "-       -    x, y\n");
}

TEST_CASE("control characters from the database do not reach the terminal") {
  Streams streams;
  streams.people.table({{"name", "NAME"}}, Json::array({{{"name", "a\x1b[2Jb\nc"}}}));
  CHECK(streams.out.str() == "NAME\na\\x1b[2Jb\\x0ac\n");
}

TEST_CASE("a table for programs is a JSON array, also when it is empty") {
  Streams streams;
  streams.programs.table(kColumns, Json::array());
  CHECK(streams.out.str() == "[]\n");
  streams.out.str("");
  streams.programs.table(kColumns, Json::array({{{"name", "not UTF-8: \xff"}, {"on", true}}}));
  const auto parsed = Json::parse(streams.out.str());
  REQUIRE(parsed.size() == 1);
  CHECK(parsed[0]["on"] == true);
}

TEST_CASE("a record has a line for each column") {
  Streams streams;
  streams.people.record({{"name", "Name"}, {"count", "How many"}}, {{"name", "a"}, {"count", 3}});
  CHECK(streams.out.str() == "Name:     a\nHow many: 3\n");
}

TEST_CASE("what is for people is not for programs, and remarks are for neither's output") {
  Streams streams;
  streams.programs.text("for people");
  streams.people.object({{"for", "programs"}});
  CHECK(streams.out.str().empty());
  streams.people.done("Done.", {{"done", true}});
  CHECK(streams.out.str() == "Done.\n");
  streams.programs.note("by the way");
  CHECK(streams.err.str() == "vmailctl: by the way\n");
}

TEST_CASE("an error tells what to do next") {
  Streams streams;
  streams.people.error("it is broken", "mend it");
  CHECK(streams.err.str() == "vmailctl: it is broken\n  mend it\n");
  CHECK(streams.out.str().empty());
  streams.programs.error("it is broken", "mend it");
  const auto parsed = Json::parse(streams.out.str());
  CHECK(parsed["error"] == "it is broken");
  CHECK(parsed["hint"] == "mend it");
}
