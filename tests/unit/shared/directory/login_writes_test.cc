// What is written about logins: how often, how much at a time, and what a failure does.
#include "shared/directory/login_writes.h"

#include "tests/unit/shared/directory/directory_fixture.h"

using namespace vmail;
using namespace vmail::directory;
using namespace vmail::directory::test;

TEST_CASE("the use of an app password is noted once a minute, with others of the same second") {
  Fixture f;
  f.open();
  f.directory->note_use(1, "192.0.2.1");
  f.directory->note_use(2, "192.0.2.2");
  f.directory->note_use(1, "192.0.2.3");
  CHECK(f.tables->uses.empty());
  f.run_until([&] { return !f.tables->uses.empty(); });
  REQUIRE(f.tables->uses.size() == 1);
  REQUIRE(f.tables->uses[0].size() == 2);
  CHECK(f.tables->uses[0][0].app_password == 1);
  CHECK(f.tables->uses[0][0].ip == "192.0.2.1");
  CHECK(f.tables->uses[0][0].at ==
        std::chrono::duration_cast<std::chrono::seconds>(f.clock.wall().time_since_epoch()).count());

  f.clock.advance(59s);
  f.directory->note_use(1, "192.0.2.4");
  f.clock.advance(1s);
  f.directory->note_use(1, "192.0.2.5");
  f.run_until([&] { return f.tables->uses.size() == 2; });
  REQUIRE(f.tables->uses.size() == 2);
  REQUIRE(f.tables->uses[1].size() == 1);
  CHECK(f.tables->uses[1][0].ip == "192.0.2.5");
}

TEST_CASE("more uses than one statement takes are left out") {
  Fixture f;
  f.open();
  for (std::uint64_t id = 1; id <= 100000; ++id) f.directory->note_use(id, "192.0.2.1");
  f.run_until([&] { return !f.tables->uses.empty(); });
  REQUIRE(f.tables->uses.size() == 1);
  CHECK(f.tables->uses[0].size() == 500);
}

TEST_CASE("a hash or keys go out at once, and the login is read again, whether the hash was still the one or not") {
  for (const bool applies : {true, false}) {
    Fixture f;
    f.tables->change_applies = applies;
    f.open();
    CHECK(settled(f, credentials(f, "u@d.org")) == "hash");
    CHECK(text(credentials(f, "u@d.org")) == "hash !");
    f.directory->replace_hash("U@d.org", Secret("hash"), Secret("better"));
    REQUIRE(f.tables->changes_of_logins.size() == 1);
    const LoginChange& change = f.tables->changes_of_logins[0];
    CHECK(change.what == LoginChange::What::Hash);
    CHECK(change.hash.text() == "hash");
    CHECK(change.value.text() == "better");
    f.loop.run_ready();
    const int before = f.tables->credential_questions;
    CHECK(settled(f, credentials(f, "u@d.org")) == "hash");
    CHECK(f.tables->credential_questions == before + 1);
  }
}

TEST_CASE("one change of a login at a time, no more than a few under way, and a pause after a failure") {
  Fixture f;
  f.open();
  f.tables->frozen = true;
  f.directory->keep_scram("u@d.org", Secret("hash"), Secret("keys"));
  f.directory->keep_scram("u@d.org", Secret("hash"), Secret("keys"));
  CHECK(f.tables->changes_of_logins.size() == 1);
  CHECK(f.tables->changes_of_logins[0].what == LoginChange::What::Scram);
  for (int i = 0; i < 100; ++i) {
    f.directory->keep_scram("u" + std::to_string(i) + "@d.org", Secret("hash"), Secret("keys"));
  }
  CHECK(f.tables->changes_of_logins.size() == 20);
  f.tables->release();

  f.tables->down = true;
  f.directory->keep_scram("u@d.org", Secret("hash"), Secret("keys"));
  CHECK(f.tables->changes_of_logins.size() == 21);
  f.loop.run_ready();
  f.directory->keep_scram("u@d.org", Secret("hash"), Secret("keys"));
  CHECK(f.tables->changes_of_logins.size() == 21);
  f.clock.advance(10s);
  f.tables->down = false;
  f.directory->keep_scram("u@d.org", Secret("hash"), Secret("keys"));
  CHECK(f.tables->changes_of_logins.size() == 22);
}

TEST_CASE("after the end nothing is written") {
  Fixture f;
  f.open();
  f.directory->note_use(1, "192.0.2.1");
  f.directory->stop();
  f.directory->note_use(2, "192.0.2.1");
  f.directory->keep_scram("u@d.org", Secret("hash"), Secret("keys"));
  f.loop.run_ready();
  CHECK(f.tables->uses.empty());
  CHECK(f.tables->changes_of_logins.empty());
}
