#include "tests/unit/shared/directory/directory_fixture.h"

using namespace vmail;
using namespace vmail::directory;
using namespace vmail::directory::test;

namespace {

// The answer to one question: the addresses, and whether there may be more.
std::string page(Fixture& f, std::uint64_t after) {
  std::string said = "open";
  f.directory->mailboxes(after, [&said](const Outcome<MailboxPage>& outcome) {
    if (!outcome.is_found()) {
      said = "fail: " + outcome.reason();
      return;
    }
    said.clear();
    for (const auto& mailbox : outcome.value().mailboxes) {
      said += std::to_string(mailbox.id) + ' ' + mailbox.address + ' ';
    }
    said += outcome.value().more ? "and more behind " + std::to_string(outcome.value().last) : "end";
  });
  CHECK(said == "open");
  f.loop.run_ready();
  return said;
}

}  // namespace

TEST_CASE("the list of all mailboxes: page by page, without what is off or in no domain of ours") {
  Fixture f;  // u@d.org, off@d.org, and an alias
  f.tables->add_user("B@D.org");
  f.tables->add_user("c@elsewhere.org");
  f.tables->add_user("d@relay.org");
  f.tables->add_user("no address");
  f.tables->add_user("e@d.org");
  f.open();
  CHECK(page(f, 0) == "1 u@d.org 4 b@d.org and more behind 4");
  CHECK(page(f, 4) == "and more behind 7");
  CHECK(page(f, 7) == "8 e@d.org end");
  CHECK(page(f, 8) == "end");
}

TEST_CASE("the list of all mailboxes is never guessed") {
  Fixture f;
  f.open();
  f.tables->down = true;
  CHECK(page(f, 0) == "fail: injected");
  f.directory->stop();
  CHECK(page(f, 0) == "fail: the daemon is stopping");
}
