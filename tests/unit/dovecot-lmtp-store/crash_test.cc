// A kill keeps the page cache, a power cut does not: here every point of a delivery is cut, with every choice of what
// was not synced, and whatever had its 250 must be there, whole.
#include <set>

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
  const store::Stored stored = store.delivery->deliver(*message, "lisi@example.com", path);
  if (stored.ok()) store.files.reply(stored.name);
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

TEST_CASE("each call fails in turn, and what has its 250 stays") {
  for (int at = 0; at < 40; ++at) {
    StoreFixture store;
    deliver(store, "example.com/lisi");
    store.files.reset();
    store.files.fail_at = at;
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
    store.files.lies = {lie};
    deliver(store, "example.com/lisi");
    return verdict(store);
  };
  CHECK(with_lie("file").torn > 0);
  CHECK(with_lie("new").missing > 0);
  CHECK(with_lie("way").missing > 0);
}
