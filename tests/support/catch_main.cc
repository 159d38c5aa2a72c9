// main() of all unit tests. SIGPIPE is ignored as in the daemons, and the last line says how many test cases ran.
#define CATCH_CONFIG_RUNNER
#include "tests/support/catch.h"

#include <csignal>
#include <iostream>

namespace {

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

std::uint64_t test_cases_run = 0;

class Counter : public ListenerBase {
 public:
  using ListenerBase::ListenerBase;
  void testRunEnded(const Catch::TestRunStats& stats) override { test_cases_run = stats.totals.testCases.total(); }
};
CATCH_REGISTER_LISTENER(Counter)

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const int failed = Catch::Session().run(argc, argv);
  std::cout << "test cases run: " << test_cases_run << std::endl;
  // A filter that matches nothing is not a success.
  return failed != 0 || test_cases_run == 0 ? 1 : 0;
}
