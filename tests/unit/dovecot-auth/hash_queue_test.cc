#include "dovecot-auth/hash_queue.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::auth;
using password::Verdict;

namespace {

const std::string kBcrypt = "$2y$05$mSNUkO.Mrwh7ddgUExy8eOJtv0AuaQrdcGAMCu24Q/8BD3hA8B/Ja";  // of "secret"
constexpr auto kLong = std::chrono::hours(1);

// A queue, and what came out of it: verdicts by the names of the jobs.
struct Fixture {
  explicit Fixture(std::size_t threads, std::size_t limit = 256) : queue(loop, clock, threads, limit) {}
  ~Fixture() { queue.stop(); }

  bool submit(const std::string& name, std::string_view source, std::string_view password, std::string_view stored,
              Duration time = kLong, bool known = false) {
    return queue.submit(known, source, Secret(password), Secret(stored), {}, clock.now() + time,
                        [this, name](password::Result result) {
                          CHECK(loop.on_loop());
                          CHECK_FALSE(submitting);
                          CHECK(verdicts.emplace(name, result.verdict).second);
                          reasons[name] = result.reason;
                        });
  }
  // Turns the loop until so many are answered, for as long as a loaded machine may need.
  bool answered(std::size_t count) {
    for (int i = 0; i < 60000 && verdicts.size() < count; ++i) {
      loop.run_ready();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    loop.run_ready();
    return verdicts.size() >= count;
  }

  Loop loop;
  SystemClock clock;
  bool submitting = false;
  std::map<std::string, Verdict> verdicts;
  std::map<std::string, std::string> reasons;
  HashQueue queue;
};

}  // namespace

TEST_CASE("hashes of all kinds, right and wrong, get their verdicts") {
  const std::string sha512 = password::make_sha512_crypt(Secret("secret"), 1000);
  const std::string dear = password::make_sha512_crypt(Secret("secret"), 20000);
  const struct {
    std::string name, password, stored;
    Verdict verdict;
  } cases[] = {
      {"sha512", "secret", sha512, Verdict::Match},
      {"sha512, wrong", "wrong", sha512, Verdict::Mismatch},
      {"sha512, dear", "secret", dear, Verdict::Match},
      {"sha512, dear, wrong", std::string(200, 'x'), dear, Verdict::Mismatch},
      {"bcrypt", "secret", kBcrypt, Verdict::Match},
      {"bcrypt, wrong", "wrong", kBcrypt, Verdict::Mismatch},
      {"digest", "secret", "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=", Verdict::Match},
      {"bad", "secret", "{NTLM}x", Verdict::BadData},
      {"a salt for libxcrypt", "secret", "$6$ab:cd$" + std::string(86, '.'), Verdict::BadData},
      {"too dear", "secret", "$6$rounds=1000001$a$" + std::string(86, '.'), Verdict::BadData},
      {"empty", "", sha512, Verdict::Mismatch},
      {"too long", std::string(257, 'x'), sha512, Verdict::Mismatch},
      {"NUL", std::string("secret\0", 7), sha512, Verdict::Mismatch},
  };
  for (const std::size_t threads : {std::size_t{1}, std::size_t{3}}) {
    Fixture f(threads);
    CHECK(f.queue.threads() == threads);
    std::size_t count = 0;
    f.submitting = true;
    for (int round = 0; round < 4; ++round) {
      for (const auto& one : cases) {
        REQUIRE(f.submit(one.name + std::to_string(round), "192.0.2." + std::to_string(count % 3), one.password,
                         one.stored));
        ++count;
      }
    }
    f.submitting = false;
    REQUIRE(f.answered(count));
    for (int round = 0; round < 4; ++round) {
      for (const auto& one : cases) {
        CAPTURE(threads, one.name, f.reasons[one.name + std::to_string(round)]);
        CHECK(f.verdicts[one.name + std::to_string(round)] == one.verdict);
      }
    }
    CHECK(f.queue.waiting() == 0);
  }
}

TEST_CASE("a full queue refuses, unless another source has more in it") {
  Fixture f(0, 4);  // nothing is hashed
  for (const auto* name : {"a1", "a2", "a3"}) REQUIRE(f.submit(name, "a", "x", kBcrypt));
  REQUIRE(f.submit("b1", "b", "x", kBcrypt));
  CHECK(f.queue.waiting() == 4);
  CHECK_FALSE(f.submit("a4", "a", "x", kBcrypt));
  CHECK(f.submit("b2", "b", "x", kBcrypt));
  CHECK_FALSE(f.submit("b3", "b", "x", kBcrypt));
  CHECK(f.submit("c1", "c", "x", kBcrypt));
  CHECK(f.submit("d1", "d", "x", kBcrypt));
  CHECK_FALSE(f.submit("e1", "e", "x", kBcrypt));  // each has one
  CHECK(f.queue.waiting() == 4);
  CHECK(f.verdicts.empty());  // not inside the call
  f.loop.run_ready();
  CHECK(f.verdicts.at("a3") == Verdict::NotComputed);
  CHECK(f.verdicts.at("a2") == Verdict::NotComputed);
  CHECK(f.verdicts.at("b2") == Verdict::NotComputed);
  CHECK(f.verdicts.size() == 3);
  CHECK(f.reasons.at("a3").find("too many logins wait") != std::string::npos);
}

TEST_CASE("those who are known come before strangers, and push them out of a full queue") {
  Fixture f(0, 3);
  for (const auto* name : {"s1", "s2", "s3"}) REQUIRE(f.submit(name, name, "x", kBcrypt));
  CHECK_FALSE(f.submit("s4", "s4", "x", kBcrypt));
  CHECK(f.submit("k1", "home", "x", kBcrypt, kLong, true));
  CHECK(f.submit("k2", "home", "x", kBcrypt, kLong, true));
  CHECK(f.submit("k3", "office", "x", kBcrypt, kLong, true));
  REQUIRE(f.answered(3));
  for (const auto* name : {"s1", "s2", "s3"}) CHECK(f.verdicts.at(name) == Verdict::NotComputed);
  CHECK_FALSE(f.submit("k4", "home", "x", kBcrypt, kLong, true));
  CHECK_FALSE(f.submit("s5", "s5", "x", kBcrypt));
}

TEST_CASE("what nobody waits for is not hashed") {
  Fixture f(1);
  const std::string stored = password::make_sha512_crypt(Secret("secret"), 1000);
  REQUIRE(f.submit("late", "a", "secret", stored, -std::chrono::seconds(1)));
  REQUIRE(f.submit("in time", "a", "secret", stored));
  // Much work: given up when its time is over, in the midst of its rounds.
  REQUIRE(f.submit("dear", "a", "secret", "$6$rounds=1000000$abcdefgh$" + std::string(86, '.'),
                   std::chrono::milliseconds(1)));
  REQUIRE(f.answered(3));
  CHECK(f.verdicts.at("late") == Verdict::NotComputed);
  CHECK(f.verdicts.at("in time") == Verdict::Match);
  CHECK(f.verdicts.at("dear") == Verdict::NotComputed);
  CHECK_FALSE(f.reasons.at("late").empty());
}

TEST_CASE("stopping drops what waits and what runs") {
  const auto owned = std::make_shared<int>(1);
  const std::string dear = "$6$rounds=1000000$abcdefgh$" + std::string(86, '.');
  {
    Loop loop;
    SystemClock clock;
    HashQueue queue(loop, clock, 2, 256);
    for (int i = 0; i < 20; ++i) {
      REQUIRE(queue.submit(false, "a", Secret("secret"), Secret(dear), {}, clock.now() + kLong,
                           [owned](password::Result) { FAIL("answered after stop()"); }));
    }
    queue.stop();
    CHECK(owned.use_count() == 1);
    CHECK(queue.waiting() == 0);
    CHECK_FALSE(
        queue.submit(false, "a", Secret("secret"), Secret(dear), {}, clock.now() + kLong, [](password::Result) {}));
    loop.run_ready();
    queue.stop();  // again does no harm
  }
}

TEST_CASE("a flood of one source does not keep others waiting") {
  Fixture f(1, 100);
  const std::string stored = password::make_sha512_crypt(Secret("secret"), 5000);
  for (int i = 0; i < 100; ++i) f.submit("flood" + std::to_string(i), "192.0.2.1", "wrong", stored);
  REQUIRE(f.submit("honest", "198.51.100.1", "secret", stored));
  while (f.verdicts.count("honest") == 0) REQUIRE(f.answered(f.verdicts.size() + 1));
  CHECK(f.verdicts.at("honest") == Verdict::Match);
  CHECK(f.verdicts.size() < 50);
}
