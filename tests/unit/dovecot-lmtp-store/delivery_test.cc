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
  const Stored stored = store.deliver(*message, kTo, kPath);
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

  const Stored second = store.deliver(*message, kTo, kPath);
  CHECK(second.ok());
  CHECK(second.name > stored.name);
  CHECK(store.list(kPath + "/new").size() == 2);
}

TEST_CASE("a small message is one write, and a known mailbox costs two syncs behind its name") {
  StoreFixture store;
  const auto message = store.message("Hi\n");
  REQUIRE(store.deliver(*message, kTo, kPath).ok());
  store.files.reset();
  REQUIRE(store.deliver(*message, kTo, kPath).ok());
  std::vector<std::string> calls;
  for (const auto& call : store.files.calls) calls.push_back(call.name);
  CHECK(calls == std::vector<std::string>{"open_folder", "open_below " + kPath + "/new", "create_unnamed", "write",
                                          "write_out", "name", "sync ", "sync new", "open_below " + kPath});
}

TEST_CASE("the way to a mailbox is synced again by each process, and after forget()") {
  StoreFixture store;
  const auto message = store.message("Hi\n");
  const auto syncs = [&] {
    store.files.reset();
    REQUIRE(store.deliver(*message, kTo, kPath).ok());
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
    const Stored stored = store.deliver(*message, kTo, kPath);
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
  const Stored stored = store.deliver(*message, kTo, kPath);
  REQUIRE(stored.ok());
  CHECK(contents(store.base / kPath / "new" / stored.name) == expected(*message, "Hi\n"));
  CHECK(store.list(kPath + "/tmp").empty());
  // A mailbox that has lost its tmp.
  test::fs::remove(store.base / kPath / "tmp");
  CHECK(store.deliver(*message, kTo, kPath).ok());
}

TEST_CASE("short and interrupted writes lose nothing") {
  for (const bool no_tmpfile : {false, true}) {
    StoreFixture store;
    store.files.no_tmpfile = no_tmpfile;
    store.files.max_write = 7;
    store.files.interrupt_writes = true;
    const auto message = store.message("Subject: x\n\nHi\n");
    const Stored stored = store.deliver(*message, kTo, kPath);
    REQUIRE(stored.ok());
    CHECK(contents(store.base / kPath / "new" / stored.name) == expected(*message, "Subject: x\n\nHi\n"));
  }
}

TEST_CASE("each call in turn fails: an error, nothing left behind, no sync tried twice") {
  struct Kind {
    bool no_tmpfile = false, first = false, shared = false, archive = false;
  };
  std::vector<Kind> kinds;
  for (int bits = 0; bits < 16; ++bits) {
    kinds.push_back({(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0});
  }
  for (const Kind& kind : kinds) {
    const bool plain = !kind.no_tmpfile && !kind.shared && !kind.archive;
    for (const int error : plain ? std::vector<int>{EIO, ENOSPC, EDQUOT, EROFS, EACCES} : std::vector<int>{EIO}) {
      for (int at = 0;; ++at) {
        CAPTURE(error, kind.no_tmpfile, kind.first, kind.shared, kind.archive, at);
        StoreFixture store;
        store.files.no_tmpfile = kind.no_tmpfile;
        store.files.can_share = kind.shared;
        if (kind.shared) store.together = 1;
        store.restart();
        const auto message = store.message("tail\n");
        REQUIRE(store.delivery->spool(message->spool, "spool\n").ok());
        message->sizes.add("spool\n");
        Recipient recipient;
        recipient.address = kTo;
        recipient.path = kPath;
        if (kind.archive) recipient.archive = "example.com/archive";
        if (!kind.first) {
          REQUIRE(store.delivery->deliver(*message, recipient).ok());
        }
        const std::size_t before = store.list(kPath + "/new").size();
        store.files.reset();
        store.files.fail_error = error;
        store.files.fail_at = at;
        const Stored stored = store.delivery->deliver(*message, recipient);
        const auto& calls = store.files.calls;
        if (static_cast<int>(calls.size()) <= at) {
          CHECK(stored.ok());
          break;
        }
        const auto& failed = calls[static_cast<std::size_t>(at)];
        // Behind the last sync it is stored: the account that cannot be opened then is counted anew by who keeps it.
        const bool accounting = at >= static_cast<int>(calls.size()) - (kind.archive ? 2 : 1) && stored.ok();
        CHECK(stored.error == (accounting ? 0 : error));
        CHECK(store.list(kPath + "/new").size() == before + (accounting ? 1 : 0));
        CHECK(store.list(kPath + "/tmp").empty());
        if (kind.archive) {
          CHECK(store.list("example.com/archive/new").size() == store.list(kPath + "/new").size());
          CHECK(store.list("example.com/archive/tmp").empty());
        }
        if (failed.name == "write_out" || failed.name.substr(0, 5) == "sync ") {
          CHECK(std::none_of(calls.begin() + at + 1, calls.end(), [&](const auto& call) {
            return call.object == failed.object &&
                   (call.name == failed.name || call.name == "sync " || call.name == "name");
          }));
        }
        if (failed.name == "sync_all") {
          CHECK(std::none_of(calls.begin() + at + 1, calls.end(), [&](const auto& call) {
            return call.name.substr(0, 4) == "sync" || call.name == "name" || call.name == "rename";
          }));
        }
        if (!stored.ok()) CHECK_FALSE(explain(store.base, stored).empty());
        // The client comes again, and all is well.
        store.files.fail_at = -1;
        const std::size_t now = store.list(kPath + "/new").size();
        CHECK(store.delivery->deliver(*message, recipient).ok());
        CHECK(store.list(kPath + "/new").size() == now + 1);
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
  const test::fs::path volume = store.base / "volume";
  store.settings.base.folder = volume;
  Delivery delivery(store.files, store.clock, *store.commit, store.quota, store.duplicates, store.settings,
                    store.filing);
  const auto message = store.message("Hi\n");
  Recipient recipient;
  recipient.address = kTo;
  recipient.path = kPath;
  for (const Stored& stored : {delivery.deliver(*message, recipient), delivery.ready(0)}) {
    CHECK(stored.error == ENOENT);
    CHECK(stored.where.empty());
    CHECK_FALSE(test::fs::exists(volume));
    const std::string words = explain(volume, stored);
    CAPTURE(words);
    CHECK(words.find(volume.string()) == 0);
    CHECK(words.find("mailboxes.base") != std::string::npos);
  }
}

TEST_CASE("a volume without its marker is not mounted") {
  StoreFixture store;
  store.settings.base.marker = ".mounted";
  store.restart();
  const auto message = store.message("Hi\n");
  for (const Stored& stored : {store.deliver(*message, kTo, kPath), store.delivery->ready(0)}) {
    CHECK(stored.error == ENOMEDIUM);
    CHECK(explain(store.base, stored).find((store.base / ".mounted").string() + " is not there") == 0);
  }
  CHECK(store.list("").empty());
  std::ofstream(store.base / ".mounted") << "";
  CHECK(store.deliver(*message, kTo, kPath).ok());
  CHECK(store.delivery->ready(0).ok());
}

TEST_CASE("what is kept free on the volume") {
  StoreFixture store;
  store.settings.reserve = {1000, 10};
  store.restart();
  const auto ready = [&](std::uint64_t bytes, std::optional<std::uint64_t> inodes, std::uint64_t size) {
    store.files.free = maildir::Space{bytes, inodes};
    return store.delivery->ready(size).error;
  };
  CHECK(ready(1000, 11, 0) == 0);
  CHECK(ready(1500, 11, 500) == 0);
  CHECK(ready(1500, 11, 501) == ENOSPC);
  CHECK(ready(999, 11, 0) == ENOSPC);
  CHECK(ready(9999, 10, 0) == ENOSPC);
  CHECK(ready(9999, {}, 0) == 0);  // a file system that counts no inodes
  CHECK(ready(9999, 11, ~std::uint64_t{0}) == ENOSPC);
  store.files.reset();
  store.files.fail_at = 1;
  CHECK(ready(9999, 11, 0) == EIO);
}

TEST_CASE("a mailbox that leads elsewhere is refused") {
  StoreFixture store;
  test::fs::create_directories(store.base / "elsewhere/new");
  test::fs::create_directory(store.base / "example.com");
  test::fs::create_directory_symlink(store.base / "elsewhere", store.base / kPath);
  const auto message = store.message("Hi\n");
  const Stored stored = store.deliver(*message, kTo, kPath);
  CHECK(stored.error == ELOOP);
  CHECK(store.list("elsewhere/new").empty());
  CHECK(explain(store.base, stored).find("symbolic link") != std::string::npos);
}

TEST_CASE("a message that nobody waits for is not filed") {
  StoreFixture store;
  const auto message = store.message("Hi\n");
  message->abandoned = true;
  CHECK(store.deliver(*message, kTo, kPath).error == ECANCELED);
  CHECK(store.list("").empty());
}

TEST_CASE("many threads, new mailboxes: all is filed") {
  for (const bool shared : {false, true}) {
    StoreFixture store;
    store.files.can_share = shared;
    store.together = 2;
    store.restart();
    const auto message = store.message("Hi\n");
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 25; ++i) {
          const std::string path = "example.com/u" + std::to_string((i + t) % 5);
          if (store.deliver(*message, kTo, path).ok()) ++good;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(good == 200);
    std::size_t filed = 0;
    for (int i = 0; i < 5; ++i) filed += store.list("example.com/u" + std::to_string(i) + "/new").size();
    CHECK(filed == 200);
  }
}

TEST_CASE("an archive gets a copy, or nobody gets the message") {
  StoreFixture store;
  const auto message = store.message("Hi\n");
  Recipient recipient;
  recipient.address = kTo;
  recipient.path = kPath;
  recipient.archive = "example.com/archive";
  const Stored stored = store.delivery->deliver(*message, recipient);
  REQUIRE(stored.ok());
  const auto copies = store.list("example.com/archive/new");
  REQUIRE(copies.size() == 1);
  CHECK(store.list(kPath + "/new") == std::vector<std::string>{stored.name});
  for (const auto& file : {kPath + "/new/" + stored.name, "example.com/archive/new/" + copies.front()}) {
    CHECK(contents(store.base / file) == expected(*message, "Hi\n"));
  }
  // A file where a folder of the archive should be.
  test::fs::remove_all(store.base / "example.com/archive");
  std::ofstream(store.base / "example.com/archive") << "x";
  const Stored refused = store.delivery->deliver(*message, recipient);
  CHECK(refused.error == ENOTDIR);
  CHECK(refused.where.find("example.com/archive") == 0);
  CHECK(store.list(kPath + "/new").size() == 1);
}

TEST_CASE("what a mailbox does not take") {
  StoreFixture store;
  const auto message = store.message(std::string(999, 'x') + '\n');
  Recipient recipient;
  recipient.address = kTo;
  recipient.path = kPath;
  recipient.message_limit = 999;
  CHECK(store.delivery->deliver(*message, recipient).refusal == Stored::Refusal::TooBig);
  recipient.message_limit = 1000;
  CHECK(store.delivery->deliver(*message, recipient).ok());
  recipient.quota.messages = 1;
  CHECK(store.delivery->deliver(*message, recipient).refusal == Stored::Refusal::FullForNow);
  recipient.full_for_now = false;
  CHECK(store.delivery->deliver(*message, recipient).refusal == Stored::Refusal::Full);
  CHECK(store.list(kPath + "/new").size() == 1);
  recipient.quota.messages = 2;
  const Stored stored = store.delivery->deliver(*message, recipient);
  REQUIRE(stored.ok());
  REQUIRE(stored.usage);
  CHECK(stored.usage->before.messages == 1);
  CHECK(stored.usage->after.messages == 2);
}

TEST_CASE("a message that comes again since its reply was lost is stored once") {
  StoreFixture store;
  const auto send = [&](const std::string& text, const std::string& queue_id, const std::string& to = kTo) {
    const auto message = store.message(text);
    message->queue_id = queue_id;
    message->id = "id." + std::to_string(store.files.calls.size());
    return store.deliver(*message, to, kPath);
  };
  const Stored first = send("Hi\n", "4abc");
  CHECK_FALSE(first.duplicate);
  const Stored again = send("Hi\n", "4abc");
  CHECK(again.ok());
  CHECK(again.duplicate);
  CHECK(again.name == first.name);
  // A queue id that is used again, another recipient, and none at all.
  CHECK_FALSE(send("Ho\n", "4abc").duplicate);
  CHECK_FALSE(send("Hi\n", "4abd").duplicate);
  CHECK_FALSE(send("Hi\n", "4abc", "lisi+x@example.com").duplicate);
  CHECK_FALSE(send("Hi\n", "").duplicate);
  CHECK_FALSE(send("Hi\n", "").duplicate);
  CHECK(store.list(kPath + "/new").size() == 6);

  const auto message = store.message("Confirmed\n");
  message->queue_id = "4abe";
  CHECK(store.deliver(*message, kTo, kPath).ok());
  store.duplicates.confirmed(message->id);
  CHECK_FALSE(store.deliver(*message, kTo, kPath).duplicate);
}

TEST_CASE("recipients of one message may share its file") {
  for (const auto mode : {SingleInstance::Reflink, SingleInstance::Hardlink}) {
    for (const bool no_tmpfile : {false, true}) {
      for (const int broken : {0, EMLINK, EXDEV}) {
        CAPTURE(static_cast<int>(mode), no_tmpfile, broken);
        StoreFixture store;
        store.files.no_tmpfile = no_tmpfile;
        store.files.can_clone = broken == 0;
        store.files.fail_name = broken;
        store.settings.single_instance = mode;
        store.restart();
        const auto message = store.message("Hi\n");
        message->recipients = 4;
        const std::string text = headers_for(*message, "", "mail.test") + "Hi\n";
        CHECK(text.find("Delivered-To") == std::string::npos);
        // The last one into a mailbox that has it: two names of one file in a folder would confuse Dovecot.
        for (const char* user : {"a", "b", "c", "a"}) {
          const Stored stored = store.deliver(*message, std::string(user) + "@d", std::string("d/") + user);
          REQUIRE(stored.ok());
          const auto file = store.base / "d" / user / "new" / stored.name;
          CHECK(contents(file) == text);
          check_name(stored.name, text);
        }
        CHECK(store.list("d/a/new").size() == 2);
        CHECK(store.list("d/a/tmp").empty());
        std::size_t links = 0;
        for (const auto& name : store.list("d/b/new")) links = test::fs::hard_link_count(store.base / "d/b/new" / name);
        CHECK(links == (mode == SingleInstance::Hardlink && broken == 0 ? 3 : 1));
      }
    }
  }
  // One recipient keeps its own headers.
  StoreFixture store;
  store.settings.single_instance = SingleInstance::Hardlink;
  store.restart();
  const auto message = store.message("Hi\n");
  const Stored stored = store.deliver(*message, kTo, kPath);
  CHECK(contents(store.base / kPath / "new" / stored.name) == expected(*message, "Hi\n"));
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
