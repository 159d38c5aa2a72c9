// What becomes of a recipient: over a real directory with a database that the test holds, and real Maildirs.
#include "dovecot-lmtp-store/recipient.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"
#include "tests/unit/shared/directory/directory_fixture.h"

using namespace vmail;
using directory::RuleKind;
using store::Recipient;
using store::Recipients;
using store::Stored;
namespace fs = std::filesystem;

namespace {

struct Fixture : directory::test::Fixture {
  Fixture() {
    settings.mailboxes.base = base.path().string();
    settings.store.sieve_socket = "/run/dovecot/lmtp-sieve";
    clock.set_wall(std::chrono::system_clock::now());
    tables->add_user("v@d.org");
  }
  ~Fixture() {
    disk.stop();
    loop.run_ready();
    directory->stop();
    loop.run_ready();
  }
  void start(Recipients::Guard guard = {}) {
    open();
    std::string why;
    recipients.emplace(loop, clock, *directory, jobs, quota, settings, *maildir::Layout::parse("%d/%n", why),
                       std::move(guard));
  }

  // "code enhanced" of a refusal; otherwise found is set, and it is "ok".
  std::string ask(const std::string& address, std::uint64_t size = 0) {
    std::string result;
    found.reset();
    recipients->find(address, size, [&](Recipients::Found answer) {
      if (const auto* reply = std::get_if<lmtp::Reply>(&answer)) {
        result = std::to_string(reply->code) + ' ' + reply->enhanced;
      } else {
        found = std::get<0>(answer);
        result = "ok";
      }
    });
    CHECK(result.empty());
    run_until([&] { return !result.empty(); });
    return result;
  }
  void box(const std::string& path, const std::string& quota_file = "") const {
    for (const char* folder : {"cur", "new", "tmp"}) fs::create_directories(base.path() / path / folder);
    if (!quota_file.empty()) std::ofstream(base.path() / path / "maildirsize") << quota_file;
  }

  const vmail::test::TempDir base;
  maildir::RealFiles files;
  maildir::Quota quota{files, clock};
  WorkerPool disk{"disk", 1, 10};
  store::MailboxJobs jobs{loop, disk};
  std::optional<Recipients> recipients;
  std::shared_ptr<const Recipient> found;
};

}  // namespace

TEST_CASE("the outcomes of a look-up, by the table of the design") {
  Fixture f;
  f.tables->add_user("\"../etc\"@d.org");
  f.tables->add_user("\".hidden\"@d.org");
  f.start();
  CHECK(f.ask("U@D.org") == "ok");
  REQUIRE(f.found);
  CHECK(f.found->address == "U@D.org");
  CHECK(f.found->mailbox.address() == "u@d.org");
  CHECK(f.found->path == "d.org/u");
  CHECK(f.found->detail.empty());
  CHECK(f.found->spam_to_junk);
  CHECK_FALSE(f.found->scripted);
  CHECK_FALSE(f.found->archive);
  CHECK(f.found->message_limit == 0);
  CHECK_FALSE(f.found->quota.any());
  CHECK(f.ask("u+Lists@alias.org") == "ok");
  CHECK(f.found->detail == "lists");
  CHECK(f.found->path == "d.org/u");

  CHECK(f.ask("nobody@d.org") == "550 5.1.1");
  CHECK(f.ask("u@elsewhere.org") == "550 5.1.1");
  CHECK(f.ask("Postmaster") == "550 5.1.1");
  CHECK(f.ask("") == "550 5.1.1");
  CHECK(f.ask("\"\"@d.org") == "550 5.1.1");
  CHECK(f.ask("off@d.org") == "550 5.2.1");
  // Rows that no folder may be made of are bad data, not unknown users.
  CHECK(f.ask("\"../etc\"@d.org") == "451 4.3.0");
  CHECK(f.ask("\".hidden\"@d.org") == "451 4.3.0");
  f.tables->down = true;
  f.clock.advance(std::chrono::hours(2));
  CHECK(f.ask("nobody@d.org") == "451 4.3.0");
}

TEST_CASE("states of a mailbox") {
  Fixture f;
  f.tables->add_rule(RuleKind::State, "u@d.org", "no-mail");
  f.tables->add_rule(RuleKind::State, "v@d.org", "hold");
  f.tables->add_user("w@d.org");
  f.tables->add_rule(RuleKind::State, "w@d.org", "no-login");
  f.tables->add_user("x@d.org");
  f.tables->add_rule(RuleKind::State, "x@d.org", "asleep");
  f.tables->add_alias("@d.org", "w@d.org");
  f.start();
  CHECK(f.ask("u@d.org") == "550 5.2.1");
  CHECK(f.ask("u+x@alias.org") == "550 5.2.1");
  CHECK(f.ask("v@d.org") == "450 4.2.1");
  CHECK(f.ask("w@d.org") == "ok");
  CHECK(f.ask("x@d.org") == "451 4.3.0");
}

TEST_CASE("switches by rule") {
  Fixture f;
  f.tables->add_rule(RuleKind::Spam, "@d.org", "inbox");
  f.tables->add_rule(RuleKind::Spam, "v@d.org", "junk");
  f.tables->add_rule(RuleKind::Archive, "u@d.org", "v+copies@d.org");
  f.tables->add_rule(RuleKind::Archive, "v@d.org", "v@d.org");
  f.tables->add_rule(RuleKind::MessageSize, "u@d.org", "1K");
  f.start();
  CHECK(f.ask("u@d.org", 1024) == "ok");
  CHECK_FALSE(f.found->spam_to_junk);
  CHECK(f.found->archive == "d.org/v");
  CHECK(f.found->message_limit == 1024);
  CHECK(f.ask("u@d.org", 1025) == "552 5.3.4");
  CHECK(f.ask("v@d.org", 1025) == "ok");
  CHECK(f.found->spam_to_junk);
  CHECK_FALSE(f.found->archive);
}

TEST_CASE("values that cannot be used defer the mail of that mailbox") {
  const std::pair<RuleKind, const char*> cases[] = {
      {RuleKind::Spam, "away"},         {RuleKind::Sieve, "maybe"},     {RuleKind::MessageSize, "big"},
      {RuleKind::Quota, "5 of them"},   {RuleKind::Archive, "x@d.org"}, {RuleKind::Archive, "off@d.org"},
      {RuleKind::Archive, "u@far.org"}, {RuleKind::Spam, ""},           {RuleKind::Archive, "nothing"},
  };
  for (const auto& [kind, value] : cases) {
    CAPTURE(directory::word(kind), value);
    Fixture f;
    f.tables->add_rule(kind, "u@d.org", value);
    f.start();
    CHECK(f.ask("u@d.org") == "451 4.3.0");
    CHECK(f.ask("v@d.org") == "ok");
  }
}

TEST_CASE("rules that may not be read yet hold up nothing") {
  Fixture f;
  f.tables->rules_fault = "denied";
  f.start();
  CHECK(f.ask("u@d.org") == "ok");
}

TEST_CASE("scripts are found on the disk, or a rule says it") {
  Fixture f;
  f.tables->add_user("w@d.org");
  f.tables->add_rule(RuleKind::Sieve, "v@d.org", "no");
  f.tables->add_rule(RuleKind::Sieve, "w@d.org", "yes");
  for (const char* path : {"d.org/u", "d.org/v"}) {
    f.box(path);
    fs::create_symlink("sieve/main.sieve", f.base.path() / path / ".dovecot.sieve");
  }
  SECTION("below the mailbox") {
    f.start();
    CHECK(f.ask("u+x@d.org") == "ok");
    CHECK(f.found->scripted);
    CHECK(f.ask("v@d.org") == "ok");
    CHECK_FALSE(f.found->scripted);
    CHECK(f.ask("w@d.org") == "ok");
    CHECK(f.found->scripted);
    fs::remove(f.base.path() / "d.org/u/.dovecot.sieve");
    CHECK(f.ask("u@d.org") == "ok");
    CHECK_FALSE(f.found->scripted);
    fs::remove_all(f.base.path() / "d.org");
    CHECK(f.ask("u@d.org") == "ok");
    CHECK_FALSE(f.found->scripted);
    fs::remove_all(f.base.path());
    CHECK(f.ask("u@d.org") == "451 4.3.0");
  }
  SECTION("elsewhere") {
    f.settings.store.sieve_script = f.base.path().string() + "/scripts/%d.%n";
    fs::create_directory(f.base.path() / "scripts");
    std::ofstream(f.base.path() / "scripts/d.org.u") << "keep;";
    f.start();
    CHECK(f.ask("u@d.org") == "ok");
    CHECK(f.found->scripted);
  }
  SECTION("with nobody to hand over to") {
    f.settings.store.sieve_socket.clear();
    f.start();
    for (const char* address : {"u@d.org", "w@d.org"}) {
      CHECK(f.ask(address) == "ok");
      CHECK_FALSE(f.found->scripted);
    }
  }
}

TEST_CASE("a full mailbox is refused as the settings say") {
  Fixture f;
  f.tables->add_rule(RuleKind::Quota, "@d.org", "100K");
  f.tables->add_rule(RuleKind::Quota, "v@d.org", "none 3 messages");
  f.box("d.org/u", "102400S\n102400 1\n");
  f.box("d.org/v", "3C\n1 2\n");
  f.start();
  CHECK(f.ask("u@d.org") == "452 4.2.2");
  CHECK(f.ask("v@d.org", 1u << 30) == "ok");
  CHECK(f.found->quota == QuotaLimits{0, 3});
  CHECK(f.found->full_for_now);

  const auto reload = [&](const char* full) {
    std::string why;
    f.settings.policy.full_mailbox = full;
    f.recipients->reload(f.settings, *maildir::Layout::parse("%d/%n", why));
  };
  reload("reject");
  CHECK(f.ask("u@d.org") == "552 5.2.2");
  CHECK(f.ask("v@d.org") == "ok");
  CHECK_FALSE(f.found->full_for_now);
  reload("accept");
  CHECK(f.ask("u@d.org") == "ok");
  CHECK_FALSE(f.found->quota.any());
}

TEST_CASE("what the disk says, before the body") {
  Fixture f;
  Stored stored;
  std::vector<std::uint64_t> sizes;
  std::uint64_t room = 1u << 20;
  f.start([&](std::uint64_t size) {
    sizes.push_back(size);
    return size <= room ? stored : Stored{ENOSPC, {}, {}};
  });
  CHECK(f.ask("u@d.org", 4711) == "ok");
  CHECK(sizes == std::vector<std::uint64_t>{1u << 30, 4711});
  stored.error = ENOSPC;
  CHECK(f.ask("u@d.org") == "452 4.3.1");
  stored.error = EIO;
  CHECK(f.ask("u@d.org") == "451 4.3.0");
  stored = {};
  CHECK(f.ask("u@d.org") == "ok");

  // With plenty of room once a second is enough, for all recipients.
  room = 1u << 30;
  sizes.clear();
  CHECK(f.ask("u@d.org") == "ok");
  CHECK(sizes.size() == 1);
  sizes.clear();
  stored.error = EIO;
  CHECK(f.ask("v@d.org", 4711) == "ok");
  f.clock.advance(std::chrono::milliseconds(999));
  CHECK(f.ask("u@d.org") == "ok");
  CHECK(sizes.empty());
  f.clock.advance(std::chrono::milliseconds(1));
  CHECK(f.ask("u@d.org") == "451 4.3.0");
  stored = {};
  CHECK(f.ask("u@d.org") == "ok");
  // But not for a message that could fill it.
  CHECK(f.ask("u@d.org", 2u << 30) == "452 4.3.1");
  f.clock.advance(std::chrono::seconds(1));
  f.disk.stop();
  CHECK(f.ask("u@d.org") == "451 4.3.2");
}
