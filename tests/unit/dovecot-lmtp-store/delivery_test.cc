#include "dovecot-lmtp-store/delivery.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "tests/unit/dovecot-lmtp-store/store_fixture.h"

using namespace vmail;
using namespace vmail::store;
using test::contents;
using test::StoreFixture;

namespace {

const std::string kPath = "example.com/lisi";
const std::string kTo = "lisi@example.com";

// What the file must hold, and under which sizes.
std::string expected(const Message& message, const std::string& text, const std::string& to = kTo) {
  return headers_for(message, to, "mail.test") + text;
}

void check_name(const std::string& name, const std::string& text) {
  const auto lines = std::count(text.begin(), text.end(), '\n');
  CHECK(name.substr(0, 12) == "1700000000.M");
  CHECK(name.substr(name.find(",S=")) ==
        ",S=" + std::to_string(text.size()) + ",W=" + std::to_string(text.size() + static_cast<std::size_t>(lines)));
}

}  // namespace

TEST_CASE("a message is filed with its headers, sizes and mode") {
  StoreFixture store;
  const auto message = store.message("Subject: x\n\nHi\n");
  const Stored stored = store.delivery->deliver(*message, kTo, kPath);
  REQUIRE(stored.ok());
  CHECK(store.list(kPath + "/new") == std::vector<std::string>{stored.name});
  CHECK(store.list(kPath + "/tmp").empty());
  const auto file = store.base / kPath / "new" / stored.name;
  const std::string text = expected(*message, "Subject: x\n\nHi\n");
  CHECK(contents(file) == text);
  check_name(stored.name, text);
  struct stat info {};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  CHECK(info.st_nlink == 1);

  const Stored second = store.delivery->deliver(*message, kTo, kPath);
  CHECK(second.ok());
  CHECK(second.name > stored.name);
  CHECK(store.list(kPath + "/new").size() == 2);
}

TEST_CASE("a small message is one write, and a known mailbox costs two syncs") {
  StoreFixture store;
  const auto message = store.message("Hi\n");
  REQUIRE(store.delivery->deliver(*message, kTo, kPath).ok());
  store.files.reset();
  REQUIRE(store.delivery->deliver(*message, kTo, kPath).ok());
  std::vector<std::string> calls;
  for (const auto& call : store.files.calls) calls.push_back(call.name);
  CHECK(calls == std::vector<std::string>{"open_folder", "open_below " + kPath + "/new", "create_unnamed", "write",
                                          "sync ", "name", "sync new"});
}

TEST_CASE("the way to a mailbox is synced again by each process, and after forget()") {
  StoreFixture store;
  const auto message = store.message("Hi\n");
  const auto syncs = [&] {
    store.files.reset();
    REQUIRE(store.delivery->deliver(*message, kTo, kPath).ok());
    return std::count_if(store.files.calls.begin(), store.files.calls.end(),
                         [](const auto& call) { return call.name.substr(0, 5) == "sync "; });
  };
  CHECK(syncs() == 5);  // mailbox, domain, base, file, new
  CHECK(syncs() == 2);
  store.restart();
  CHECK(syncs() == 5);
  CHECK(syncs() == 2);
  store.delivery->forget();
  CHECK(syncs() == 5);
  test::fs::remove_all(store.base / "example.com");
  CHECK(syncs() == 5);
}

TEST_CASE("a spooled message, in front of what stayed in memory") {
  StoreFixture store;
  for (const bool no_tmpfile : {false, true}) {
    CAPTURE(no_tmpfile);
    store.files.no_tmpfile = no_tmpfile;
    const auto message = store.message("the end\n");
    std::string text;
    for (int i = 0; i < 3; ++i) {
      const std::string part(300000, static_cast<char>('a' + i));
      REQUIRE(store.delivery->spool(message->spool, part + '\n').ok());
      message->sizes.add(part + '\n');
      text += part + '\n';
    }
    CHECK(store.list("").size() == (no_tmpfile ? 1 : 0));  // the spool has no name
    const Stored stored = store.delivery->deliver(*message, kTo, kPath);
    REQUIRE(stored.ok());
    const std::string all = expected(*message, text + "the end\n");
    CHECK((contents(store.base / kPath / "new" / stored.name) == all));
    check_name(stored.name, all);
  }
}

TEST_CASE("without O_TMPFILE the file is made in tmp and moved") {
  StoreFixture store;
  store.files.no_tmpfile = true;
  const auto message = store.message("Hi\n");
  const Stored stored = store.delivery->deliver(*message, kTo, kPath);
  REQUIRE(stored.ok());
  CHECK(contents(store.base / kPath / "new" / stored.name) == expected(*message, "Hi\n"));
  CHECK(store.list(kPath + "/tmp").empty());
  // A mailbox that has lost its tmp.
  test::fs::remove(store.base / kPath / "tmp");
  CHECK(store.delivery->deliver(*message, kTo, kPath).ok());
}

TEST_CASE("short and interrupted writes lose nothing") {
  for (const bool no_tmpfile : {false, true}) {
    StoreFixture store;
    store.files.no_tmpfile = no_tmpfile;
    store.files.max_write = 7;
    store.files.interrupt_writes = true;
    const auto message = store.message("Subject: x\n\nHi\n");
    const Stored stored = store.delivery->deliver(*message, kTo, kPath);
    REQUIRE(stored.ok());
    CHECK(contents(store.base / kPath / "new" / stored.name) == expected(*message, "Subject: x\n\nHi\n"));
  }
}

TEST_CASE("each call in turn fails: an error, nothing left behind, no sync tried twice") {
  for (const int error : {EIO, ENOSPC, EDQUOT, EROFS, EACCES}) {
    for (const bool no_tmpfile : {false, true}) {
      for (const bool first : {false, true}) {
        for (int at = 0;; ++at) {
          CAPTURE(error, no_tmpfile, first, at);
          StoreFixture store;
          store.files.no_tmpfile = no_tmpfile;
          const auto message = store.message("tail\n");
          REQUIRE(store.delivery->spool(message->spool, "spool\n").ok());
          message->sizes.add("spool\n");
          if (!first) {
            REQUIRE(store.delivery->deliver(*message, "x@example.com", kPath).ok());
          }
          const std::size_t before = store.list(kPath + "/new").size();
          store.files.reset();
          store.files.fail_error = error;
          store.files.fail_at = at;
          const Stored stored = store.delivery->deliver(*message, kTo, kPath);
          const auto& calls = store.files.calls;
          if (static_cast<int>(calls.size()) <= at) {
            CHECK(stored.ok());
            break;
          }
          CHECK(stored.error == error);
          CHECK(store.list(kPath + "/new").size() == before);
          CHECK(store.list(kPath + "/tmp").empty());
          const auto& failed = calls[static_cast<std::size_t>(at)];
          if (failed.name.substr(0, 5) == "sync ") {
            CHECK(std::none_of(calls.begin() + at + 1, calls.end(), [&](const auto& call) {
              return call.object == failed.object && (call.name == failed.name || call.name == "name");
            }));
          }
          CHECK_FALSE(explain(store.base, stored).empty());
          // The client comes again, and all is well.
          store.files.fail_at = -1;
          CHECK(store.delivery->deliver(*message, kTo, kPath).ok());
          CHECK(store.list(kPath + "/new").size() == before + 1);
        }
      }
    }
  }
}

TEST_CASE("a spool that cannot be made or written") {
  for (const bool no_tmpfile : {false, true}) {
    for (int at = 0;; ++at) {
      StoreFixture store;
      store.files.no_tmpfile = no_tmpfile;
      store.files.fail_at = at;
      store.files.fail_error = ENOSPC;
      Spool spool;
      const Stored stored = store.delivery->spool(spool, "text");
      if (static_cast<int>(store.files.calls.size()) <= at) {
        CHECK(stored.ok());
        CHECK(spool.size == 4);
        break;
      }
      if (store.files.calls[static_cast<std::size_t>(at)].name == "remove") continue;
      CHECK(stored.error == ENOSPC);
      CHECK(spool.size == 0);
      CHECK(store.list("").empty());
    }
  }
}

TEST_CASE("a base that is missing is not made") {
  StoreFixture store;
  Delivery delivery(store.files, store.clock, store.base / "volume", "mail.test");
  const auto message = store.message("Hi\n");
  const Stored stored = delivery.deliver(*message, kTo, kPath);
  CHECK(stored.error == ENOENT);
  CHECK(stored.where.empty());
  CHECK_FALSE(test::fs::exists(store.base / "volume"));
  const std::string words = explain(store.base / "volume", stored);
  CAPTURE(words);
  CHECK(words.find((store.base / "volume").string()) == 0);
  CHECK(words.find("mailboxes.base") != std::string::npos);
}

TEST_CASE("a mailbox that leads elsewhere is refused") {
  StoreFixture store;
  test::fs::create_directories(store.base / "elsewhere/new");
  test::fs::create_directory(store.base / "example.com");
  test::fs::create_directory_symlink(store.base / "elsewhere", store.base / kPath);
  const auto message = store.message("Hi\n");
  const Stored stored = store.delivery->deliver(*message, kTo, kPath);
  CHECK(stored.error == ELOOP);
  CHECK(store.list("elsewhere/new").empty());
  CHECK(explain(store.base, stored).find("symbolic link") != std::string::npos);
}

TEST_CASE("a message that nobody waits for is not filed") {
  StoreFixture store;
  const auto message = store.message("Hi\n");
  message->abandoned = true;
  CHECK(store.delivery->deliver(*message, kTo, kPath).error == ECANCELED);
  CHECK(store.list("").empty());
}

TEST_CASE("many threads, new mailboxes: all is filed") {
  StoreFixture store;
  const auto message = store.message("Hi\n");
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        const std::string path = "example.com/u" + std::to_string((i + t) % 5);
        if (store.delivery->deliver(*message, kTo, path).ok()) ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 200);
  std::size_t filed = 0;
  for (int i = 0; i < 5; ++i) filed += store.list("example.com/u" + std::to_string(i) + "/new").size();
  CHECK(filed == 200);
}

TEST_CASE("an explanation names the path, the owner and what to do") {
  StoreFixture store;
  CHECK(explain(store.base, {EROFS, kPath, {}}).find("read-only") != std::string::npos);
  CHECK(explain(store.base, {ENOSPC, kPath, {}}).find("df -i") != std::string::npos);
  CHECK(explain(store.base, {EIO, kPath, {}}).find("dmesg") != std::string::npos);
  CHECK(explain(store.base, {EBADF, kPath, {}}).find(kPath) != std::string::npos);
  test::fs::create_directories(store.base / kPath);
  const std::string ours = explain(store.base, {EACCES, kPath + "/new", {}});
  CAPTURE(ours);
  CHECK(ours.find("chmod u+rwx") != std::string::npos);
  if (::geteuid() != 0) return;
  REQUIRE(::chown((store.base / kPath).c_str(), 4242, 4242) == 0);
  const std::string alien = explain(store.base, {EACCES, kPath + "/new", {}});
  CAPTURE(alien);
  CHECK(alien.find((store.base / kPath).string() + " belongs to uid 4242") != std::string::npos);
  CHECK(alien.find("chown -R 0:0 " + (store.base / kPath).string()) != std::string::npos);
}
