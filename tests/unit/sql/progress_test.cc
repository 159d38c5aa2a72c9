#include "sql/vmailctl/progress.h"

#include "tests/support/catch.h"

using vmail::sql::progress_line;

TEST_CASE("a line says how far it is") {
  CHECK(progress_line(0, 10, "u@d.org") == "[--------------------]   0% 0 of 10  u@d.org");
  CHECK(progress_line(3, 10, "u@d.org") == "[######--------------]  30% 3 of 10  u@d.org");
  CHECK(progress_line(10, 10, "u@d.org") == "[####################] 100% 10 of 10  u@d.org");
  CHECK(progress_line(11, 10, "x") == "[####################] 100% 10 of 10  x");
  CHECK(progress_line(0, 0, "") == "[--------------------]   0% 0 of 1  ");
  CHECK(progress_line(1, 2, "\x1b[2J").find('\x1b') == std::string::npos);
}
