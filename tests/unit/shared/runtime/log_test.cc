#include "shared/runtime/log.h"

#include <string>

#include "tests/support/captured.h"
#include "tests/support/catch.h"

using vmail::test::captured;

TEST_CASE("lines carry a priority, and the level holds back what is below it") {
  using namespace vmail::log;
  open("test", Target::Stderr);
  const Level before = level();
  const auto all = [] {
    error("e {}", 1);
    warning("w {}", 2);
    info("i {}", 3);
    debug("d {}", 4);
  };
  set_level(Level::Info);
  CHECK(captured(all) == "<3>e 1\n<4>w 2\n<6>i 3\n");
  set_level(Level::Error);
  CHECK(captured(all) == "<3>e 1\n");
  set_level(Level::Debug);
  CHECK(captured(all) == "<3>e 1\n<4>w 2\n<6>i 3\n<7>d 4\n");
  set_level(before);
}

TEST_CASE("a throttle lets one through and counts the rest") {
  vmail::log::Throttle throttle;
  std::size_t suppressed = 7;
  CHECK(throttle.allow(suppressed));
  CHECK(suppressed == 0);
  CHECK_FALSE(throttle.allow(suppressed));
  CHECK_FALSE(throttle.allow(suppressed));
}

TEST_CASE("levels have words") {
  using namespace vmail::log;
  for (const auto level : {Level::Error, Level::Warning, Level::Info, Level::Debug}) {
    CHECK(level_of(word(level)) == level);
  }
  CHECK(level_of("warning") == Level::Warning);
  for (const char* wrong : {"", "warn", "Debug", "2"}) CHECK_FALSE(level_of(wrong));
}
