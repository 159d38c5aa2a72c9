#include "dovecot-lmtp-store/filing.h"

#include <sys/stat.h>

#include <cerrno>

#include "shared/config/config.h"
#include "tests/unit/dovecot-lmtp-store/store_fixture.h"

using namespace vmail;
using namespace vmail::store;
using test::contents;
using test::StoreFixture;

namespace {

const std::string kPath = "example.com/lisi";

struct Filed : StoreFixture {
  Filed() {
    filing = filing_from(config::Settings());
    recipient.address = "lisi@example.com";
    recipient.path = kPath;
  }
  // Where a message went: "" for the inbox.
  std::string file(const std::string& text) {
    clock.advance(std::chrono::seconds(1));
    restart();
    const Stored stored = delivery->deliver(*message(text), recipient);
    CHECK(stored.ok());
    const std::string folder = stored.folder.empty() ? kPath : kPath + '/' + stored.folder;
    const auto names = list(folder + "/new");
    CHECK(std::count(names.begin(), names.end(), stored.name) == 1);
    return stored.folder;
  }
  std::string file_for(const std::string& detail) {
    recipient.detail = detail;
    return file("Subject: x\n\nHi\n");
  }
  void make(const std::string& folder) {
    for (const char* part : {"cur", "new", "tmp"}) test::fs::create_directories(base / kPath / folder / part);
  }

  Recipient recipient;
};

const std::string kSpam = "X-Spam-Flag: YES\n\nBuy\n";

}  // namespace

TEST_CASE("spam goes to Junk, which is made, where its owner has that") {
  Filed store;
  CHECK(store.file(kSpam) == "");
  store.recipient.spam_to_junk = true;
  CHECK(store.file("Subject: X-Spam-Flag: YES\n\nX-Spam-Flag: YES\n") == "");
  CHECK(store.file(kSpam) == ".Junk");
  const auto junk = store.base / kPath / ".Junk";
  for (const char* part : {"cur", "new", "tmp"}) CHECK(test::fs::is_directory(junk / part));
  struct stat info {};
  REQUIRE(::stat((junk / "maildirfolder").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  CHECK_FALSE(test::fs::exists(store.base / kPath / "subscriptions"));
  CHECK(store.file(kSpam) == ".Junk");
  // Also before user+detail, and into a mailbox that is not there.
  store.make(".lists");
  CHECK(store.file_for("lists") == ".lists");
  CHECK(store.file(kSpam) == ".Junk");
  test::fs::remove_all(store.base / "example.com");
  CHECK(store.file(kSpam) == ".Junk");
  CHECK(test::fs::is_directory(store.base / kPath / "cur"));
}

TEST_CASE("the spool is looked through too") {
  Filed store;
  store.recipient.spam_to_junk = true;
  store.restart();
  const auto message = store.message("\nBuy\n");
  REQUIRE(store.delivery->spool(message->spool, "Subject: x\nX-Spam").ok());
  REQUIRE(store.delivery->spool(message->spool, ": Yes\n").ok());
  CHECK(store.delivery->deliver(*message, store.recipient).folder == ".Junk");
}

TEST_CASE("user+detail goes into the folder of that name, when it is there") {
  Filed store;
  CHECK(store.file_for("lists") == "");
  store.make(".lists");
  store.make(".Lists.Debian");
  store.make(".Entw&APw-rfe");
  CHECK(store.file_for("lists") == ".lists");
  CHECK(store.file_for("LISTS") == ".lists");
  CHECK(store.file_for("lists.debian") == ".Lists.Debian");
  CHECK(store.file_for("Lists/Debian") == ".Lists.Debian");
  CHECK(store.file_for("Entwürfe") == ".Entw&APw-rfe");
  CHECK(store.file_for("entwürfe") == ".Entw&APw-rfe");
  CHECK(store.file_for("entwärfe") == "");
  for (const char* detail : {"other", "..", "../wang", "INBOX", "inbox", "a..b", ""}) {
    CAPTURE(detail);
    CHECK(store.file_for(detail) == "");
  }
  // What only looks like a folder.
  std::ofstream(store.base / kPath / ".notes") << "x";
  test::fs::create_directory_symlink(store.base / kPath / ".lists", store.base / kPath / ".link");
  test::fs::create_directories(store.base / kPath / ".half");
  for (const char* detail : {"notes", "link", "half"}) {
    CAPTURE(detail);
    CHECK(store.file_for(detail) == "");
  }
  store.filing.detail = DetailFolders::No;
  CHECK(store.file_for("lists") == "");
}

TEST_CASE("folders that may be made, up to a number") {
  Filed store;
  store.filing.detail = DetailFolders::Create;
  store.filing.subscribe = true;
  CHECK(store.file_for("lists") == ".lists");
  CHECK(store.file_for("Lists") == ".lists");
  CHECK(store.file_for("a.b") == ".a.b");
  CHECK(contents(store.base / kPath / "subscriptions") == "lists\na.b\n");
  CHECK_FALSE(test::fs::exists(store.base / kPath / "subscriptions.lock"));
  CHECK(store.file_for("../x") == "");
  for (std::size_t i = 2; i < kMostFolders; ++i) {
    test::fs::create_directory(store.base / kPath / (".f" + std::to_string(i)));
  }
  CHECK(store.file_for("one-more") == "");
  CHECK(store.file_for("lists") == ".lists");
}

TEST_CASE("a lock of somebody else on the subscriptions is left alone") {
  Filed store;
  store.filing.subscribe = true;
  store.recipient.spam_to_junk = true;
  store.make("");
  std::ofstream(store.base / kPath / "subscriptions") << "Sent\n";
  std::ofstream(store.base / kPath / "subscriptions.lock") << "theirs";
  CHECK(store.file(kSpam) == ".Junk");
  CHECK(contents(store.base / kPath / "subscriptions") == "Sent\n");
  CHECK(contents(store.base / kPath / "subscriptions.lock") == "theirs");
}

TEST_CASE("a folder that cannot be made keeps no mail from the inbox") {
  Filed store;
  store.recipient.spam_to_junk = true;
  store.make("");
  std::ofstream(store.base / kPath / ".Junk") << "a file";
  CHECK(store.file(kSpam) == "");
}

TEST_CASE("each call fails in turn: filed once, or an error and nothing") {
  for (const bool no_tmpfile : {false, true}) {
    for (int at = 0;; ++at) {
      CAPTURE(no_tmpfile, at);
      Filed store;
      store.recipient.spam_to_junk = true;
      store.filing.subscribe = true;
      store.files.no_tmpfile = no_tmpfile;
      store.restart();
      store.files.fail_at = at;
      const auto message = store.message(kSpam);
      const Stored stored = store.delivery->deliver(*message, store.recipient);
      const bool reached = static_cast<int>(store.files.calls.size()) > at;
      const auto filed = [&] { return store.list(kPath + "/new").size() + store.list(kPath + "/.Junk/new").size(); };
      CHECK(filed() == (stored.ok() ? 1 : 0));
      CHECK(store.list(kPath + "/tmp").empty());
      CHECK(store.list(kPath + "/.Junk/tmp").empty());
      store.files.fail_at = -1;
      CHECK(store.delivery->deliver(*message, store.recipient).ok());
      CHECK(filed() == (stored.ok() ? 2 : 1));
      if (!reached) break;
    }
  }
}

TEST_CASE("settings that cannot be") {
  config::Settings settings;
  CHECK(filing_from(settings).junk == ".Junk");
  CHECK(filing_from(settings).spam.size() == 3);
  settings.store.junk_folder = "Spam/Entwürfe";
  CHECK(filing_from(settings).junk == ".Spam.Entw&APw-rfe");
  settings.mailboxes.folder_names = "utf-8";
  CHECK(filing_from(settings).junk == ".Spam.Entwürfe");
  settings.store.junk_folder = "../Junk";
  CHECK_THROWS_AS(filing_from(settings), config::Error);
  settings.store.junk_folder = "Junk";
  settings.store.spam_headers = {"X-Spam"};
  CHECK_THROWS_AS(filing_from(settings), config::Error);
}
