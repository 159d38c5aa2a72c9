// What a piece of code writes to standard error.
#pragma once

#include <unistd.h>

#include <string>

#include "shared/base/unique_fd.h"
#include "tests/support/catch.h"

namespace vmail::test {

// What is written to standard error meanwhile.
template <class Run>
std::string captured(Run run) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const UniqueFd before(::dup(STDERR_FILENO));
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

}  // namespace vmail::test
