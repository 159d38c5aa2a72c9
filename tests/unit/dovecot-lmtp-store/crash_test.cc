// A kill keeps the page cache, a power cut does not: here every point of a delivery is cut, with every choice of what
// was not synced, and whatever had its 250 must be there, whole.
#include <set>
#include <thread>

#include "tests/unit/dovecot-lmtp-store/store_fixture.h"

using namespace vmail;
using test::CrashReplay;
using test::StoreFixture;

namespace {

struct Verdict {
  std::size_t states = 0;
  std::size_t missing = 0;  // had its 250, and is not there
  std::size_t torn = 0;     // is there, and not whole
};

// Every message filed in these tests is of this text.
const std::string kText = "Subject: x\n\nHi\n";

Verdict verdict(const StoreFixture& store) {
  Verdict verdict;
  CrashReplay replay(store.files);
  replay.play([&](const std::set<std::string>& replies, const std::map<std::string, std::string>& found) {
    for (const std::string& name : replies) {
      if (found.count(name) == 0) ++verdict.missing;
    }
    for (const auto& [name, text] : found) {
      const std::size_t size = std::stoul(name.substr(name.find(",S=") + 3));
      if (text.size() != size || text.substr(text.size() - std::min(text.size(), kText.size())) != kText)
        ++verdict.torn;
    }
  });
  verdict.states = replay.states;
  return verdict;
}

void deliver(StoreFixture& store, const std::string& path) {
  const auto message = StoreFixture::message(kText);
  const store::Stored stored = store.deliver(*message, "lisi@example.com", path);
  if (stored.ok()) store.files.reply(stored.name);
}

// From now on every sync is one of the whole file system.
void share(StoreFixture& store) {
  store.files.can_share = true;
  store.together = 1;
  store.restart();
}

void check(const StoreFixture& store, std::size_t states) {
  const Verdict result = verdict(store);
  CHECK(result.missing == 0);
  CHECK(result.torn == 0);
  CHECK(result.states >= states);
}

}  // namespace

TEST_CASE("a first delivery, cut anywhere") {
  for (const bool no_tmpfile : {false, true}) {
    StoreFixture store;
    store.files.no_tmpfile = no_tmpfile;
    deliver(store, "example.com/lisi");
    check(store, 100);
  }
}

TEST_CASE("later deliveries, to the same and to other mailboxes") {
  for (const bool no_tmpfile : {false, true}) {
    StoreFixture store;
    store.files.no_tmpfile = no_tmpfile;
    for (const char* path : {"example.com/lisi", "example.com/lisi", "example.com/wang", "example.org/wang"}) {
      deliver(store, path);
    }
    check(store, 250);
  }
}

TEST_CASE("a message of many writes") {
  StoreFixture store;
  store.files.max_write = 60;
  deliver(store, "example.com/lisi");
  deliver(store, "example.com/lisi");
  check(store, 100);
}

TEST_CASE("folders that a killed process made and never synced") {
  for (int at = 0; at < 24; ++at) {
    StoreFixture store;
    store.files.fail_at = at;  // it gets no further
    deliver(store, "example.com/lisi");
    store.files.fail_at = -1;
    store.restart();
    deliver(store, "example.com/lisi");
    deliver(store, "example.com/wang");
    CAPTURE(at);
    check(store, 100);
  }
}

TEST_CASE("a mailbox that is removed and comes back") {
  StoreFixture store;
  deliver(store, "example.com/lisi");
  test::fs::remove_all(store.base / "example.com");
  // The removal itself is not ours to make safe: what counts is what is filed from here on.
  store.files.changes.clear();
  deliver(store, "example.com/lisi");
  check(store, 100);
}

TEST_CASE("deliveries that share their barriers, cut anywhere") {
  for (const bool no_tmpfile : {false, true}) {
    StoreFixture store;
    store.files.no_tmpfile = no_tmpfile;
    share(store);
    for (const char* path : {"example.com/lisi", "example.com/lisi", "example.com/wang"}) deliver(store, path);
    check(store, 100);
  }
}

TEST_CASE("deliveries at the same time, with barriers that several share") {
  std::uint64_t shared = 0, barriers = 0;
  for (int round = 0; round < 5; ++round) {
    StoreFixture store;
    share(store);
    for (const char* path : {"example.com/lisi", "example.com/wang", "example.org/wang"}) deliver(store, path);
    std::vector<std::thread> threads;
    for (const char* path : {"example.com/lisi", "example.com/lisi", "example.com/wang", "example.org/wang"}) {
      threads.emplace_back([&store, path] { deliver(store, path); });
    }
    for (auto& thread : threads) thread.join();
    CHECK(store.commit->counts().errors == 0);
    shared += store.commit->counts().shared;
    barriers += store.commit->counts().barriers;
    check(store, 100);
  }
  CHECK(shared == 5 * 7);
  CHECK(barriers <= shared);
}

TEST_CASE("a folder, an archive, and one file for several") {
  for (const auto mode :
       {store::SingleInstance::Off, store::SingleInstance::Reflink, store::SingleInstance::Hardlink}) {
    StoreFixture store;
    store.files.can_clone = true;
    store.settings.single_instance = mode;
    store.filing.detail = store::DetailFolders::Create;
    store.restart();
    const auto message = StoreFixture::message(kText);
    message->recipients = 2;
    store::Recipient lisi;
    lisi.address = "lisi+lists@example.com";
    lisi.path = "example.com/lisi";
    lisi.detail = "lists";
    store::Recipient wang;
    wang.address = "wang@example.com";
    wang.path = "example.com/wang";
    wang.archive = "example.com/archive";
    for (const auto& recipient : {lisi, wang}) {
      const store::Stored stored = store.delivery->deliver(*message, recipient);
      CHECK(stored.ok());
      store.files.reply(stored.name);
    }
    check(store, 1000);
  }
}

TEST_CASE("each call fails in turn, and what has its 250 stays") {
  for (int at = 0; at < 80; ++at) {
    StoreFixture store;
    if (at >= 40) share(store);
    deliver(store, "example.com/lisi");
    store.files.reset();
    store.files.fail_at = at % 40;
    deliver(store, "example.org/wang");
    store.files.fail_at = -1;
    deliver(store, "example.org/wang");
    CAPTURE(at);
    check(store, 100);
  }
}

TEST_CASE("the replay sees a sync that is left out") {
  const auto with_lie = [](const char* lie) {
    StoreFixture store;
    if (std::string(lie) == "all") share(store);
    store.files.lies = {lie};
    deliver(store, "example.com/lisi");
    return verdict(store);
  };
  CHECK(with_lie("text").torn > 0);
  CHECK(with_lie("file").missing > 0);
  CHECK(with_lie("new").missing > 0);
  CHECK(with_lie("way").missing > 0);
  CHECK(with_lie("all").missing > 0);
}
