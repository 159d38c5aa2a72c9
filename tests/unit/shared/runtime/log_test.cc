#include "shared/runtime/log.h"

#include <unistd.h>

#include <string>

#include "shared/base/unique_fd.h"
#include "tests/support/catch.h"

namespace {

// What is written to standard error meanwhile.
template <class Run>
std::string captured(Run run) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const vmail::UniqueFd reader(ends[0]);
  vmail::UniqueFd writer(ends[1]);
  const vmail::UniqueFd before(::dup(STDERR_FILENO));
  ::dup2(writer.get(), STDERR_FILENO);
  run();
  ::dup2(before.get(), STDERR_FILENO);
  writer.reset();
  std::string all;
  char buffer[4096];
  for (ssize_t got; (got = ::read(reader.get(), buffer, sizeof buffer)) > 0;) {
    all.append(buffer, static_cast<std::size_t>(got));
  }
  return all;
}

}  // namespace

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
