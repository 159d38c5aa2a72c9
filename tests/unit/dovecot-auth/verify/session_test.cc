#include "dovecot-auth/verify/session.h"

#include <nlohmann/json.hpp>

#include <algorithm>

#include "tests/support/catch.h"
#include "tests/unit/dovecot-auth/backend.h"

using namespace vmail;
using auth::verify::Scope;
using auth::verify::VerifySession;

namespace {

struct Fixture {
  test::SocketPair pair;
  test::Backend backend;
  auth::verify::Services services{backend.logins(), backend.questions(), backend.accounts(), backend.locked(),
                                  backend.clock()};
  std::string stored = password::make_sha512_crypt(Secret("secret"), 1000);

  explicit Fixture(Scope scope = Scope::Verify) : backend(pair.loop()) {
    backend.add("lisi", "mydomain.com", stored);
    pair.open([this, scope](Channel& channel) { return std::make_shared<VerifySession>(channel, services, scope); });
  }
  ~Fixture() { pair.reset(); }

  std::string say(const std::string& text, long lines = 1) {
    pair.write(text);
    std::string got;
    backend.until([&] {
      got += pair.read();
      return std::count(got.begin(), got.end(), '\n') >= lines || pair.closed_calls() > 0;
    });
    return got;
  }
};

const std::string kAccount = "OK\tuser=lisi@mydomain.com\thome=/var/mail/vhosts/mydomain.com/lisi\tuid=5000\tgid=5001";

}  // namespace

TEST_CASE("verify session: VERIFY: right, wrong, unknown, disabled") {
  Fixture f;
  f.backend.disable("off@mydomain.com");
  CHECK(f.say("VERIFY\tuser=lisi@mydomain.com\tpassword=secret\tservice=imap\n") == kAccount + "\n");
  CHECK(f.say("VERIFY\tuser=lisi@mydomain.com\tpassword=wrong\n") == "NO\n");
  CHECK(f.say("VERIFY\tuser=lisi@mydomain.com\tpassword=\n") == "NO\n");
  CHECK(f.say("VERIFY\tuser=lisi@mydomain.com\n") == "NO\n");
  CHECK(f.say("VERIFY\tuser=nobody@mydomain.com\tpassword=secret\n") == "NO\n");
  CHECK(f.say("VERIFY\tuser=off@mydomain.com\tpassword=secret\n") == "NO\n");
  CHECK_FALSE(f.pair.closed());  // any number on one connection
}

TEST_CASE("verify session: USERDB needs no password and gives no hash") {
  Fixture f;
  f.backend.disable("off@mydomain.com");
  CHECK(f.say("USERDB\tuser=lisi@mydomain.com\tservice=lmtp\n") == kAccount + "\n");
  CHECK(f.say("USERDB\tuser=nobody@mydomain.com\n") == "NO\n");
  CHECK(f.say("USERDB\tuser=off@mydomain.com\n") == "NO\n");
}

TEST_CASE("verify session: LIST gives all mailboxes, as many as fit into a line") {
  Fixture f;
  CHECK(f.say("LIST\n") == "OK\n");
  f.backend.list(3);
  CHECK(f.say("LIST\n") == "OK\tuser=u1@mydomain.com\tuser=u2@mydomain.com\tuser=u3@mydomain.com\n");
  CHECK(f.say("LIST\tafter=2\n") == "OK\tuser=u3@mydomain.com\n");

  f.backend.list(1000, 900);
  std::size_t seen = 0;
  std::string after = "0";
  while (!after.empty() && seen < 900) {
    const auto reply = f.say("LIST\tafter=" + after + "\n");
    REQUIRE(reply.substr(0, 3) == "OK\t");
    CHECK(reply.size() <= auth::protocol::kMaxLine);
    for (auto at = reply.find("user="); at != std::string::npos; at = reply.find("user=", at + 1)) ++seen;
    const auto mark = reply.find("after=");
    after = mark == std::string::npos ? "" : reply.substr(mark + 6, reply.size() - mark - 7);
    if (!after.empty()) CHECK(after == std::to_string(seen));
  }
  CHECK(seen == 1000);
  CHECK(f.say("LIST\tafter=900\n") == "TEMP\treason=the database is down\n");
}

TEST_CASE("verify session: a database that is away is a temporary failure, at once or later") {
  for (const bool later : {false, true}) {
    CAPTURE(later);
    for (const auto* command : {"VERIFY", "USERDB"}) {
      CAPTURE(command);
      Fixture f;
      f.backend.break_database("lisi@mydomain.com", "the database is down");
      if (later) f.backend.hold();
      f.pair.write(std::string(command) + "\tuser=lisi@mydomain.com\tpassword=secret\n");
      f.backend.release();
      CHECK(f.say("") == "TEMP\treason=the database is down\n");
      CHECK_FALSE(f.pair.closed());
    }
  }
}

TEST_CASE("verify session: a hash that cannot be used is a temporary failure that quotes nothing of it") {
  Fixture f;
  f.backend.add("lisi", "mydomain.com", "plainsecret");
  const auto reply = f.say("VERIFY\tuser=lisi@mydomain.com\tpassword=plainsecret\n");
  CHECK(reply.substr(0, 5) == "TEMP\t");
  CHECK(reply.find("plainsecret") == std::string::npos);
}

TEST_CASE("verify session: a mailbox that cannot have a folder is a temporary failure") {
  Fixture f;
  f.backend.add("../../etc", "mydomain.com", f.stored);
  CHECK(f.say("USERDB\tuser=../../etc@mydomain.com\n").substr(0, 5) == "TEMP\t");
  CHECK(f.say("VERIFY\tuser=../../etc@mydomain.com\tpassword=secret\n").substr(0, 5) == "TEMP\t");
}

TEST_CASE("verify session: hashes leave by the credentials socket alone, and nothing else is answered there") {
  Fixture verify(Scope::Verify);
  CHECK(verify.say("CREDENTIALS\tuser=lisi@mydomain.com\n").substr(0, 5) == "TEMP\t");
  CHECK(verify.pair.closed());

  Fixture credentials(Scope::Credentials);
  credentials.backend.disable("off@mydomain.com");
  credentials.backend.break_database("down@mydomain.com", "the database is down");
  credentials.backend.add("bad", "mydomain.com", "secret");
  CHECK(credentials.say("CREDENTIALS\tuser=lisi@mydomain.com\n") ==
        kAccount + "\tpassword={SHA512-CRYPT}" + credentials.stored + "\n");
  CHECK(credentials.say("CREDENTIALS\tuser=nobody@mydomain.com\n") == "NO\n");
  CHECK(credentials.say("CREDENTIALS\tuser=off@mydomain.com\n") == "NO\n");
  CHECK(credentials.say("CREDENTIALS\tuser=down@mydomain.com\n") == "TEMP\treason=the database is down\n");
  CHECK(credentials.say("CREDENTIALS\tuser=bad@mydomain.com\n").substr(0, 5) == "TEMP\t");
  CHECK(credentials.say("VERIFY\tuser=lisi@mydomain.com\tpassword=secret\n").substr(0, 5) == "TEMP\t");
  CHECK(credentials.pair.closed());
}

TEST_CASE("verify session: a hash is withheld from a login that may not be") {
  Fixture f(Scope::Credentials);
  const auto add = [&](const char* local, const test::Backend::Change& change) {
    f.backend.add(local, "mydomain.com", f.stored, change);
  };
  add("pop", [](auto& credentials) { credentials.access.services = "pop3 sieve"; });
  add("office", [](auto& credentials) { credentials.access.networks = "192.0.2.0/24 2001:db8::/32"; });
  add("gone", [](auto& credentials) { credentials.access.not_after = 1; });
  add("apps", [](auto& credentials) { credentials.app_passwords_only = true; });
  const auto with_keys = [](auto& credentials) { credentials.scram = Secret("4096,salt,key,key"); };
  add("keys", with_keys);
  f.backend.add("shut", "mydomain.com", "!" + f.stored, with_keys);
  f.backend.add("alone", "mydomain.com", "", with_keys);
  const auto ask = [&](const std::string& local, const std::string& more) {
    return f.say("CREDENTIALS\tuser=" + local + "@mydomain.com\t" + more + "\n");
  };
  CHECK(ask("pop", "service=imap") == "NO\n");
  CHECK(ask("shut", "service=imap") == "NO\n");
  CHECK(ask("shut", "service=imap\tscheme=SCRAM-SHA-256") == "NO\n");
  CHECK(ask("alone", "service=imap") == "NO\n");
  CHECK(ask("alone", "service=imap\tscheme=SCRAM-SHA-256").find("\tpassword={SCRAM-SHA-256}") != std::string::npos);
  CHECK(ask("pop", "service=pop3").substr(0, 3) == "OK\t");
  CHECK(ask("office", "rip=198.51.100.1") == "NO\n");
  CHECK(ask("office", "rip=192.0.2.1").substr(0, 3) == "OK\t");
  const auto anywhere = ask("office", "service=imap");
  CHECK(anywhere.find("\tallow_nets=192.0.2.0/24,2001:db8::/32\n") != std::string::npos);
  CHECK(ask("gone", "") == "NO\n");
  CHECK(ask("apps", "") == "NO\n");
  // Whatever name of the mailbox is locked, and whatever name is asked for.
  f.backend.locked().answer_control({{"command", "lock"}, {"address", "keys@mydomain.com"}});
  CHECK(ask("keys", "") == "NO\n");
  f.backend.locked().answer_control({{"command", "unlock"}, {"address", "keys@mydomain.com"}});
  CHECK(ask("keys", "scheme=SCRAM-SHA-256").find("\tpassword={SCRAM-SHA-256}4096,salt,key,key\n") != std::string::npos);
  // What cannot be read refuses nobody; and nobody is refused by what was remembered.
  add("odd", [](auto& credentials) { credentials.access.networks = "192.0.2.0/99"; });
  CHECK(ask("odd", "rip=192.0.2.1").substr(0, 5) == "TEMP\t");
  const auto fresh = f.backend.asked_fresh();
  CHECK(ask("gone", "") == "NO\n");
  CHECK(f.backend.asked_fresh() == fresh + 1);
  CHECK(ask("pop", "service=pop3\tscheme=SCRAM-SHA-256") == "NO\n");
  CHECK(ask("keys", "scheme=SCRAM-SHA-1").find("\tpassword={SHA512-CRYPT}$6$") != std::string::npos);
}

TEST_CASE("verify session: the socket for keys gives those alone") {
  Fixture f(Scope::Keys);
  f.backend.add("keys", "mydomain.com", f.stored,
                [](auto& credentials) { credentials.scram = Secret("4096,salt,key,key"); });
  CHECK(f.say("CREDENTIALS\tuser=keys@mydomain.com\n").find("\tpassword={SCRAM-SHA-256}4096,salt,key,key\n") !=
        std::string::npos);
  CHECK(f.say("CREDENTIALS\tuser=lisi@mydomain.com\tscheme=SHA512-CRYPT\n") == "NO\n");
  CHECK(f.say("VERIFY\tuser=lisi@mydomain.com\tpassword=secret\n").substr(0, 4) == "TEMP");
}

TEST_CASE("verify session: requests are answered in their order, however they come in") {
  const std::string three =
      "VERIFY\tuser=lisi@mydomain.com\tpassword=wrong\nUSERDB\tuser=lisi@mydomain.com\nVERIFY\tuser=lisi@mydomain.com\t"
      "password=secret\n";
  const std::string answers = "NO\n" + kAccount + "\n" + kAccount + "\n";
  Fixture whole;
  CHECK(whole.say(three, 3) == answers);
  for (std::size_t at = 0; at < three.size(); at += 7) {
    CAPTURE(at);
    Fixture f;
    f.pair.write(three.substr(0, at));
    CHECK(f.say(three.substr(at), 3).size() <= answers.size());
    CHECK_FALSE(f.pair.closed());
  }
}

TEST_CASE("verify session: what is no request ends the connection") {
  Fixture f;
  SECTION("an unknown command") {
    f.pair.write("HELLO\n");
  }
  SECTION("a line without end") {
    f.pair.write(std::string(8193, 'x'));
  }
  CHECK(f.say("").substr(0, 5) == "TEMP\t");
  CHECK(f.pair.closed());
}

TEST_CASE("verify session: the end of input or of the daemon waits for the answer") {
  Fixture f;
  SECTION("idle") {
    f.pair.drain();
  }
  SECTION("end of input") {
    f.pair.end_output();
  }
  SECTION("in flight") {
    f.backend.hold();
    f.pair.write("USERDB\tuser=lisi@mydomain.com\n");
    SECTION("end of input") {
      f.pair.end_output();
    }
    SECTION("drain") {
      f.pair.drain();
    }
    CHECK_FALSE(f.pair.closed());
    f.backend.release();
    CHECK(f.say("") == kAccount + "\n");
  }
  CHECK(f.pair.closed());
}

TEST_CASE("verify session: a client that has gone before its answer") {
  Fixture f;
  f.backend.hold();
  f.pair.write("VERIFY\tuser=lisi@mydomain.com\tpassword=secret\nUSERDB\tuser=lisi@mydomain.com\n");
  f.pair.abort();
  f.backend.release();
  f.backend.stop();
  f.pair.settle();
}
