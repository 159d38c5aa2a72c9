#include "shared/maildir/names.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"

using namespace vmail;
using maildir::Names;

TEST_CASE("a name has Dovecot's form") {
  test::ManualClock clock;
  clock.set_wall(WallTime(std::chrono::seconds(1700000000) + std::chrono::microseconds(42)));
  Names names(clock, "mail.example.com");
  const std::string pid = std::to_string(::getpid());
  CHECK(names.next(1234, 1300) == "1700000000.M42P" + pid + "Q1.mail.example.com,S=1234,W=1300");
  // The clock stands still: the next one is later all the same.
  CHECK(names.next(0, 0) == "1700000000.M43P" + pid + "Q2.mail.example.com,S=0,W=0");
  // It goes back: names go on.
  clock.set_wall(WallTime(std::chrono::seconds(1600000000)));
  CHECK(names.next(1, 1) == "1700000000.M44P" + pid + "Q3.mail.example.com,S=1,W=1");
}

TEST_CASE("a second's last microsecond is followed by the next second") {
  test::ManualClock clock;
  clock.set_wall(WallTime(std::chrono::seconds(1700000000) + std::chrono::microseconds(999999)));
  Names names(clock, "h");
  CHECK(names.next(0, 0).substr(0, 18) == "1700000000.M999999");
  CHECK(names.next(0, 0).substr(0, 13) == "1700000001.M0");
}

TEST_CASE("no name is given out twice, whatever the threads") {
  test::ManualClock clock;
  Names names(clock, "h");
  std::mutex mutex;
  std::set<std::string> all;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      std::vector<std::string> mine;
      for (int n = 0; n < 2000; ++n) mine.push_back(names.next(1, 1));
      const std::lock_guard<std::mutex> lock(mutex);
      all.insert(mine.begin(), mine.end());
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(all.size() == 8000);
}

TEST_CASE("a host is escaped") {
  CHECK(maildir::escape_host("mail.example.com") == "mail.example.com");
  CHECK(maildir::escape_host("a/b:c,d") == "a\\057b\\072c\\054d");
  CHECK(maildir::escape_host("a b\nc\\") == "a\\040b\\012c\\134");
  CHECK(maildir::escape_host("m\xc3\xbcller") == "m\\303\\274ller");
  CHECK(maildir::escape_host("") == "localhost");
  CHECK(maildir::escape_host(std::string(300, 'x')).size() == 128);
  CHECK(maildir::escape_host(std::string(300, '/')).size() == 128);

  test::ManualClock clock;
  Names names(clock, std::string(300, '/'));
  CHECK(names.next(UINT64_MAX, UINT64_MAX).size() <= 255);
}

TEST_CASE("our names are known again, and nobody else's") {
  test::ManualClock clock;
  Names names(clock, "mail.example.com");
  const std::string name = names.next(5, 6);
  const auto parsed = maildir::parse_name(name);
  REQUIRE(parsed);
  CHECK(parsed->seconds == 1700000000);
  CHECK(parsed->pid == ::getpid());
  CHECK(parsed->host == "mail.example.com");

  for (const char* other : {
           "",
           "1700000000.M42P77.mail,S=1,W=1",  // Dovecot's own
           "1700000000.M42P77Q.mail", "1700000000.M42PQ1.mail", "1700000000.MP7Q1.mail", ".M42P77Q1.mail",
           "1700000000M42P77Q1.mail", "1700000000.M42P77Q1mail", "1700000000.M42P77Q1.", "1700000000.M42P77Q1.,S=1",
           "99999999999999999999999.M42P77Q1.mail", "1700000000.M42P99999999999Q1.mail",
           "1700000000.V801I1M1.mail",  // Postfix's
       }) {
    CAPTURE(other);
    CHECK_FALSE(maildir::parse_name(other));
  }
}
