// What becomes of an attempt: over a directory that answers as the test says, the real hash queue, throttle and list of
// locked logins.
#include "dovecot-auth/login.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "shared/password/scram.h"
#include "tests/support/captured.h"
#include "tests/support/catch.h"
#include "tests/unit/dovecot-auth/backend.h"

using namespace vmail;
using auth::Attempt;
using auth::LoginOutcome;
using auth::Way;

namespace {

constexpr const char* kTold = "the user name or the password is wrong";
constexpr const char* kApp = "abcdefgh-aaaa-bbbb-cccc-2345";

std::string hash_of(const std::string& password) {
  return password::make(Secret(password), password::Scheme::Sha512Crypt, {1000});
}

struct Fixture {
  Loop loop;
  test::Backend backend{loop};
  const std::string stored = hash_of("secret");

  Fixture() { backend.add("u", "d.org", stored); }
  ~Fixture() { backend.stop(); }

  struct Result {
    LoginOutcome outcome;
    std::string told;
    std::string log;
    // "ok", "failed: WHAT IS TOLD", "tempfail"
    std::string text() const {
      if (outcome.is_found()) return "ok";
      return outcome.is_temp_fail() ? "tempfail" : "failed: " + told;
    }
  };
  static Attempt attempt(const std::string& user, const std::string& password, const std::string& service = "imap",
                         const std::string& ip = "192.0.2.1") {
    Attempt attempt;
    attempt.user = user;
    attempt.password = Secret(password);
    attempt.service = service;
    attempt.remote_ip = ip;
    return attempt;
  }
  template <class Start>
  Result run(Start start) {
    std::optional<Result> result;
    const std::string log = test::captured([&] {
      start([&](LoginOutcome outcome, std::string_view told) {
        result = Result{std::move(outcome), std::string(told), ""};
      });
      CHECK_FALSE(result);  // never inside the call
      backend.until([&] { return result.has_value(); });
    });
    REQUIRE(result);
    result->log = log;
    return *result;
  }
  Result check(Attempt what) {
    return run([&](auth::Logins::Done done) { backend.logins().check(std::move(what), std::move(done)); });
  }
  std::string login(const std::string& user, const std::string& password, const std::string& service = "imap",
                    const std::string& ip = "192.0.2.1") {
    return check(attempt(user, password, service, ip)).text();
  }
  void add_app_password(directory::Credentials& credentials, const directory::Access& access = {}) {
    directory::AppPassword app;
    app.id = 7;
    app.selector = "abcdefgh";
    app.label = "my phone";
    app.hash = Secret(stored_app);
    app.access = access;
    credentials.app_passwords.push_back(std::move(app));
  }
  const std::string stored_app = hash_of(kApp);
};

const std::string kFailed = std::string("failed: ") + kTold;

}  // namespace

TEST_CASE("login: right, wrong, unknown, disabled: the last three are told alike") {
  Fixture f;
  f.backend.disable("off@d.org");
  CHECK(f.login("u@d.org", "secret") == "ok");
  CHECK(f.login("u@d.org", "wrong") == kFailed);
  CHECK(f.login("nobody@d.org", "secret") == kFailed);
  CHECK(f.login("off@d.org", "secret") == kFailed);
  CHECK(f.login("u@d.org", "") == kFailed);
}

TEST_CASE("login: a refusal rests on a fresh row, and asks for it once") {
  Fixture f;
  CHECK(f.login("u@d.org", "secret") == "ok");
  CHECK(f.backend.asked_fresh() == 0);
  CHECK(f.login("u@d.org", "wrong") == kFailed);
  CHECK(f.backend.asked_fresh() == 1);
}

TEST_CASE("login: a password that was right is not hashed again, until its hash changes") {
  Fixture f;
  CHECK(f.login("u@d.org", "secret") == "ok");
  f.backend.stop();  // from here on nothing is hashed
  CHECK(f.login("u@d.org", "secret") == "ok");
  CHECK(f.login("u@d.org", "wrong") == "tempfail");
  SECTION("the login is forgotten") {
    f.backend.logins().forget("u@d.org");
  }
  SECTION("the hash has changed") {
    f.backend.add("u", "d.org", hash_of("secret"));
  }
  SECTION("nothing is to be remembered") {
    auto settings = test::Backend::settings();
    settings.auth.verified_lifetime = config::Milliseconds(0);
    f.backend.logins().reload(settings);
  }
  CHECK(f.login("u@d.org", "secret") == "tempfail");
}

TEST_CASE("login: a locked one is shut, by each of its names, whatever is remembered") {
  Fixture f;
  f.backend.add("u@alias.example", "u", "d.org", f.stored);
  CHECK(f.login("u@d.org", "secret") == "ok");
  CHECK(f.login("u@alias.example", "secret") == "ok");
  (void)f.backend.locked().answer_control({{"command", "lock"}, {"address", "u@d.org"}});
  for (const char* name : {"u@d.org", "U@D.ORG", "u@alias.example"}) {
    const auto result = f.check(Fixture::attempt(name, "secret"));
    CHECK(result.text() == kFailed);
    CHECK(result.log.find("reason=the login is locked on this host") != std::string::npos);
  }
  (void)f.backend.locked().answer_control({{"command", "unlock"}, {"address", "u@d.org"}});
  CHECK(f.login("u@d.org", "secret") == "ok");
}

TEST_CASE("login: the throttle stops guessing before anything is asked, and says so") {
  Fixture f;
  for (int i = 0; i < 20; ++i) CHECK(f.login("u@d.org", "guess" + std::to_string(i)) == kFailed);
  const auto asked = f.backend.asked();
  const auto stopped = f.check(Fixture::attempt("u@d.org", "secret", "imap", "198.51.100.1"));
  CHECK(stopped.text() == "failed: too many failed logins; try again later");
  CHECK(stopped.log.find("result=failed reason=throttled: too many different wrong passwords") != std::string::npos);
  CHECK(f.backend.asked() == asked);
}

TEST_CASE("login: where the account is known it stays open") {
  Fixture f;
  CHECK(f.login("u@d.org", "secret", "imap", "203.0.113.1") == "ok");
  for (int i = 0; i < 30; ++i) (void)f.login("u@d.org", "guess" + std::to_string(i));
  CHECK(f.login("u@d.org", "secret") == "failed: too many failed logins; try again later");
  CHECK(f.login("u@d.org", "secret", "imap", "203.0.113.1") == "ok");
}

TEST_CASE("login: while strangers guess, few of them hold a worker of Dovecot, and those who are known go by") {
  using auth::Strangers;
  Fixture f;
  const auto network = [](std::size_t number) { return "10.0." + std::to_string(number) + ".1"; };
  CHECK(f.login("u@d.org", "secret") == "ok");

  std::size_t answered = 0, right = 0;
  const auto start = [&](const std::string& ip, Way way) {
    auto attempt = Fixture::attempt("u@d.org", "secret", "imap", ip);
    attempt.way = way;
    f.backend.logins().check(std::move(attempt), [&](LoginOutcome outcome, std::string_view) {
      ++answered;
      right += outcome.is_found() ? 1 : 0;
    });
  };
  const auto crowd = [&] {
    answered = right = 0;
    f.backend.hold();
    for (std::size_t i = 0; i < Strangers::kTogether; ++i) start(network(i), Way::Lookup);
  };
  const auto one_more = [&] { return f.check(Fixture::attempt("u@d.org", "secret", "imap", network(100))); };
  const auto all_right = [&](std::size_t count) {
    f.backend.release();
    CHECK(f.backend.until([&] { return answered == count; }));
    CHECK(right == count);
  };

  SECTION("as long as they are right, any number may come together") {
    crowd();
    start(network(100), Way::Lookup);
    all_right(Strangers::kTogether + 1);
  }
  SECTION("when most have failed, no more than a few") {
    for (int i = 0; i < Strangers::kMostFail; ++i) {
      CHECK(f.login("nobody@d.org", "guess", "imap", network(200)) == kFailed);
    }
    crowd();
    const auto asked = f.backend.asked();
    const auto turned_away = one_more();
    CHECK(turned_away.outcome.is_temp_fail());
    CHECK(f.backend.asked() == asked);
    CHECK(turned_away.log.find("somebody guesses passwords") != std::string::npos);
    CHECK(turned_away.log.find("u@d.org") == std::string::npos);
    // One line for many.
    CHECK(one_more().log.empty());

    start("192.0.2.1", Way::Lookup);  // known there
    start(network(101), Way::Sasl);   // one of many processes waits
    all_right(Strangers::kTogether + 2);

    // Each that was right makes up for one that failed, and their places are free again.
    CHECK(one_more().text() == "ok");
  }
}

TEST_CASE("login: by another name of the mailbox it counts against the mailbox") {
  Fixture f;
  f.backend.add("u@alias.example", "u", "d.org", f.stored);
  for (int i = 0; i < 20; ++i) (void)f.login("u@alias.example", "guess" + std::to_string(i));
  CHECK(f.login("u@d.org", "secret") == "failed: too many failed logins; try again later");
  CHECK(f.login("u@alias.example", "secret") == "failed: too many failed logins; try again later");
}

TEST_CASE("login: guesses count while the database is away") {
  Fixture f;
  f.backend.questions().credentials =
      [&](std::string_view, directory::Freshness freshness,
          directory::Later<directory::Credentials>) -> directory::Answer<directory::Credentials> {
    if (freshness == directory::Freshness::FreshForRefusal) {
      return Outcome<directory::Credentials>::temp_fail("the database is away");
    }
    directory::Credentials credentials;
    credentials.mailbox = {"u", "d.org", ""};
    credentials.hash = Secret(f.stored);
    auto outcome = Outcome<directory::Credentials>::found(std::move(credentials));
    outcome.set_source(Source::Stale);
    return outcome;
  };
  for (int i = 0; i < 20; ++i) CHECK(f.login("u@d.org", "guess" + std::to_string(i)) == "tempfail");
  CHECK(f.login("u@d.org", "guess", "imap", "198.51.100.1") == "failed: too many failed logins; try again later");
}

TEST_CASE("login: what the account may not be used for is told after the right password alone") {
  Fixture f;
  f.backend.add("u", "d.org", f.stored, [](directory::Credentials& credentials) {
    credentials.access = {"imap sieve", "192.0.2.0/24", 0, 0};
  });
  CHECK(f.login("u@d.org", "secret") == "ok");
  CHECK(f.login("u@d.org", "secret", "managesieve") == "ok");
  CHECK(f.login("u@d.org", "secret", "pop3") == "failed: this account may not be used for pop3");
  CHECK(f.login("u@d.org", "secret", "imap", "198.51.100.1") ==
        "failed: this account may not be used from 198.51.100.1");
  CHECK(f.login("u@d.org", "wrong", "pop3", "198.51.100.1") == kFailed);
  f.backend.add("u", "d.org", f.stored,
                [](directory::Credentials& credentials) { credentials.access.networks = "everywhere"; });
  CHECK(f.login("u@d.org", "secret") == "tempfail");
}

TEST_CASE("login: app passwords") {
  Fixture f;
  std::string used;
  f.backend.questions().note_use = [&](std::uint64_t id, const std::string& ip) {
    used = std::to_string(id) + ' ' + ip;
  };
  f.backend.add("u", "d.org", f.stored, [&](directory::Credentials& credentials) {
    f.add_app_password(credentials, {"imap", "", 0, 0});
  });
  const auto good = f.check(Fixture::attempt("u@d.org", kApp));
  CHECK(good.text() == "ok");
  CHECK(good.log.find("app_password=my\\x20phone result=ok") != std::string::npos);
  CHECK(used == "7 192.0.2.1");
  CHECK(f.login("u@d.org", kApp, "smtp") == "failed: this app password may not be used for smtp");
  CHECK(f.login("u@d.org", "abcdefgh-aaaa-bbbb-cccc-2346") == kFailed);
  CHECK(f.login("u@d.org", "secret", "smtp") == "ok");
  SECTION("where they alone open the account") {
    f.backend.add("u", "d.org", f.stored, [&](directory::Credentials& credentials) {
      f.add_app_password(credentials);
      credentials.app_passwords_only = true;
    });
    CHECK(f.login("u@d.org", kApp) == "ok");
    CHECK(f.login("u@d.org", "secret") == "failed: this account takes app passwords only");
    CHECK(f.login("u@d.org", "wrong") == kFailed);
  }
  SECTION("one that has been revoked is no password") {
    f.backend.add("u", "d.org", f.stored);
    CHECK(f.login("u@d.org", kApp) == kFailed);
  }
  SECTION("what the account may not do, its app password may not") {
    f.backend.add("u", "d.org", f.stored, [&](directory::Credentials& credentials) {
      f.add_app_password(credentials);
      credentials.access.not_after = 1;
    });
    CHECK(f.login("u@d.org", kApp) == "failed: this account has expired");
  }
}

TEST_CASE(
    "login: an account without a password is refused as with a wrong one, by a fresh row, and says so in the log") {
  Fixture f;
  for (const std::string& stored : {std::string(), std::string("!"), std::string("*"), "!" + f.stored}) {
    CAPTURE(stored);
    const auto asked = f.backend.asked_fresh();
    f.backend.add("u", "d.org", stored, [](auto& credentials) { credentials.scram = Secret("4096,salt,key,key"); });
    const auto result = f.check(Fixture::attempt("u@d.org", "secret"));
    CHECK(result.text() == kFailed);
    CHECK(result.log.find("result=failed reason=the account has no password") != std::string::npos);
    CHECK(f.backend.asked_fresh() == asked + 1);

    // Nor do keys open it, unless they stand alone.
    std::optional<bool> given;
    f.backend.logins().keys(Fixture::attempt("u@d.org", ""), [&](auto keys) { given = keys.is_found(); });
    f.backend.until([&] { return given.has_value(); });
    CHECK(given == stored.empty());
    CHECK(f.run([&](auto done) {
             f.backend.logins().proven(Fixture::attempt("u@d.org", ""), true, std::move(done));
           }).text() == (stored.empty() ? "ok" : kFailed));
  }
  SECTION("its app passwords are others") {
    f.backend.add("u", "d.org", "!", [&](directory::Credentials& credentials) { f.add_app_password(credentials); });
    CHECK(f.login("u@d.org", kApp) == "ok");
    CHECK(f.login("u@d.org", "!") == kFailed);
  }
  SECTION("nobody is refused because of what was remembered") {
    f.backend.add("u", "d.org", "!");
    f.backend.hold();
    std::optional<std::string> answer;
    f.backend.logins().check(Fixture::attempt("u@d.org", "secret"),
                             [&](LoginOutcome outcome, std::string_view) { answer = outcome.reason(); });
    f.backend.break_database("u@d.org", "the database is down");
    f.backend.release();
    f.backend.until([&] { return answer.has_value(); });
    CHECK(answer == "the database is down");
  }
}

TEST_CASE("login: keys are given, and the proof is judged as a password is") {
  Fixture f;
  const std::string scram = password::make_scram_sha256(Secret("secret"));
  f.backend.add("u", "d.org", f.stored, [&](directory::Credentials& credentials) {
    credentials.scram = Secret(scram);
    credentials.access.services = "smtp";
  });
  f.backend.add("bare", "d.org", f.stored);
  f.backend.disable("off@d.org");
  const auto keys = [&](const char* user) {
    std::string got = "no answer";
    bool done = false;
    f.backend.logins().keys(Fixture::attempt(user, "", "smtp"), [&](Outcome<auth::Keys> outcome) {
      got = outcome.is_found() ? outcome.value().scram.text() : outcome.is_temp_fail() ? "tempfail" : "none";
      done = true;
    });
    f.backend.until([&] { return done; });
    return got;
  };
  CHECK(keys("u@d.org") == scram);
  CHECK(keys("bare@d.org") == "none");
  CHECK(keys("nobody@d.org") == "none");
  CHECK(keys("off@d.org") == "none");
  const auto proven = [&](const char* user, bool right, const char* service = "smtp", const std::string& used = "") {
    auto attempt = Fixture::attempt(user, "", service);
    attempt.keys = Secret(used);
    return f
        .run([&](auth::Logins::Done done) { f.backend.logins().proven(std::move(attempt), right, std::move(done)); })
        .text();
  };
  CHECK(proven("u@d.org", true) == "ok");
  CHECK(proven("u@d.org", true, "imap") == "failed: this account may not be used for imap");
  CHECK(proven("u@d.org", false, "smtp", scram) == kFailed);
  CHECK(proven("u@d.org", false, "smtp", "those of a moment ago") == "tempfail");
  CHECK(proven("nobody@d.org", false) == kFailed);
  (void)f.backend.locked().answer_control({{"command", "lock"}, {"address", "u@d.org"}});
  CHECK(keys("u@d.org") == "none");
  CHECK(proven("u@d.org", true) == kFailed);
}

TEST_CASE("login: a hash that is not as it should be is made anew, and keys are captured") {
  Fixture f;
  std::string login, before, after, scram;
  f.backend.questions().replace_hash = [&](std::string who, Secret old, Secret now) {
    login = std::move(who), before = old.text(), after = now.text();
  };
  f.backend.questions().keep_scram = [&](const std::string&, Secret hash, Secret keys) {
    CHECK(hash.text() == after);
    scram = keys.text();
  };
  CHECK(f.login("u@d.org", "secret") == "ok");
  auto settings = test::Backend::settings();
  settings.passwords.rounds = 2000;
  settings.passwords.rehash = settings.passwords.capture_scram = true;
  f.backend.logins().reload(settings);
  f.backend.logins().forget("");
  CHECK(f.login("u@d.org", "wrong") == kFailed);
  CHECK(f.login("u@d.org", "secret") == "ok");
  CHECK(f.backend.until([&] { return !scram.empty(); }));
  CHECK(login == "u@d.org");
  CHECK(before == f.stored);
  CHECK(after.find("rounds=2000") != std::string::npos);
  CHECK(password::parse_scram_sha256(scram));
}

TEST_CASE("login: an explanation tells each step, counts for nothing and is not logged") {
  Fixture f;
  const auto explain = [&](const char* user, const char* password, const char* service = "imap") {
    std::optional<auth::Explanation> got;
    const auto log = test::captured([&] {
      f.backend.logins().explain(Fixture::attempt(user, password, service),
                                 [&](auth::Explanation explanation) { got = std::move(explanation); });
      f.backend.until([&] { return got.has_value(); });
    });
    CHECK(log.find("login user=") == std::string::npos);
    REQUIRE(got);
    return std::move(*got);
  };
  const auto good = explain("u@d.org", "secret");
  CHECK(good.outcome.is_found());
  REQUIRE(good.steps.size() == 5);
  for (const auto& step : good.steps) CHECK(step.good);

  for (int i = 0; i < 30; ++i) CHECK(explain("u@d.org", "wrong").reason == "wrong password");
  CHECK(f.backend.throttle().accounts() == 0);
  CHECK(explain("nobody@d.org", "x").reason == "no such account");
  f.backend.add("u", "d.org", "!" + f.stored);
  const auto none = explain("u@d.org", "secret");
  CHECK(none.reason == "the account has no password");
  REQUIRE(none.steps.size() == 4);
  CHECK(none.steps[2].good);
  CHECK(none.steps[3].what == "password");
  CHECK_FALSE(none.steps[3].good);

  f.backend.add("u", "d.org", f.stored,
                [](directory::Credentials& credentials) { credentials.access.services = "pop3"; });
  (void)f.backend.locked().answer_control({{"command", "lock"}, {"address", "u@d.org"}});
  const auto bad = explain("u@d.org", "secret");
  CHECK_FALSE(bad.outcome.is_found());
  CHECK(bad.reason == "the login is locked on this host");
  REQUIRE(bad.steps.size() == 5);  // it goes on: all that is wrong is told
  CHECK_FALSE(bad.steps[0].good);
  CHECK(bad.steps[3].good);
  CHECK_FALSE(bad.steps[4].good);
}
