#include "dovecot-auth/accounts.h"

#include "shared/config/config.h"
#include "tests/support/catch.h"

using namespace vmail;
using auth::Accounts;

namespace {

config::Settings::Mailboxes settings() {
  config::Settings::Mailboxes settings;
  settings.owner = "5000";
  settings.group = "5001";
  return settings;
}

std::string complaint(const config::Settings::Mailboxes& settings) {
  try {
    const Accounts accounts(settings);
  } catch (const config::Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("accounts: the place and the owner of a mailbox") {
  const auto outcome = Accounts(settings()).account({"lisi", "mydomain.com", "+ext"});
  REQUIRE(outcome.is_found());
  CHECK(outcome.value().user == "lisi@mydomain.com");
  CHECK(outcome.value().home == "/var/mail/vhosts/mydomain.com/lisi");
  CHECK(outcome.value().uid == 5000);
  CHECK(outcome.value().gid == 5001);

  auto other = settings();
  other.base = "/srv/mail";
  other.path = "%n@%d";
  CHECK(Accounts(other).account({"lisi", "mydomain.com", ""}).value().home == "/srv/mail/lisi@mydomain.com");
}

TEST_CASE("accounts: no name leads out of the base folder") {
  const Accounts accounts(settings());
  for (const auto* local : {"..", ".", "", "a/b", "/etc", "../../etc", "a\nb"}) {
    CAPTURE(local);
    const auto outcome = accounts.account({local, "mydomain.com", ""});
    CHECK(outcome.is_temp_fail());
    CHECK(outcome.reason().find('\n') == std::string::npos);
  }
  CHECK(accounts.account({"lisi", "..", ""}).is_temp_fail());
}

TEST_CASE("accounts: owners by name and by number") {
  auto names = settings();
  names.owner = names.group = "root";
  const auto outcome = Accounts(names).account({"lisi", "mydomain.com", ""});
  CHECK(outcome.value().uid == 0);
  CHECK(outcome.value().gid == 0);
  CHECK(auth::user_id("x", "4294967294") == 4294967294u);
}

TEST_CASE("accounts: settings that cannot work are named") {
  auto wrong = settings();
  wrong.owner = "no such user";
  CHECK(complaint(wrong).find("mailboxes.owner") == 0);
  wrong.owner = "4294967295";  // (uid_t)-1 is nobody
  CHECK(complaint(wrong).find("mailboxes.owner") == 0);
  wrong = settings();
  wrong.group = "no such group";
  CHECK(complaint(wrong).find("mailboxes.group") == 0);
  wrong = settings();
  wrong.path = "%d";
  CHECK(complaint(wrong).find("mailboxes.path") == 0);
  CHECK(complaint(settings()).empty());
}
