#include "shared/directory/snapshot.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace std::chrono_literals;
using namespace vmail::directory;
using vmail::AddressList;
using vmail::WallTime;
using vmail::test::TempDir;

namespace {

constexpr std::size_t kPlenty = 1U << 20;
constexpr std::size_t kMagicSize = 18;

WallTime at(int seconds) {
  return WallTime(std::chrono::seconds(1'700'000'000 + seconds)) + 123456789ns;
}

Snapshot full_snapshot() {
  Snapshot snapshot;
  snapshot.database = "mailserver";
  snapshot.preset = "virtual";
  snapshot.schema_version = 4;

  auto domains = std::make_shared<Domains>();
  domains->schema_version = 3;
  domains->add_own("example.org");
  domains->add_own(
      "b\xc3\xbc"
      "cher.example");
  domains->add_alias("example.net", "example.org");
  domains->add_relay("relay.example");
  domains->finish();
  auto rules = std::make_shared<Rules>();
  rules->add(RuleKind::SendAs, "u@example.org", "@example.net");
  rules->add(RuleKind::SendAs, "u@example.org", "*");
  rules->add(RuleKind::Transport, ".relay.example", "smtp:[x.example]");
  rules->add(RuleKind::Quota, "@example.org", "");
  domains->rules = rules;
  snapshot.domains = domains;
  snapshot.domains_read_at = at(1);

  snapshot.feed.identity = "an identity";
  snapshot.feed.triggers = "which triggers";
  snapshot.feed.last = 1ULL << 60;
  snapshot.feed.witness = "what it said\n";
  snapshot.feed.holes = {{5, 7, at(2)}, {9, 9, at(-1'800'000'000)}};
  snapshot.followed_since = at(3);

  Snapshot::Row known;
  known.key = "list@example.org";
  known.row.destinations = AddressList{"b@example.org", "a@example.org"};
  known.read_at = at(4);
  known.of_known_address = true;
  Snapshot::Row absent;
  absent.key = "absent@example.org";
  absent.read_at = at(5);
  snapshot.rows = {known, absent};

  RowSet::Builder builder(kPlenty);
  AddressRow row;
  row.mailbox = AddressRow::Mailbox::On;
  builder.add("on@example.org", 1, row);
  row.domain =
      "b\xc3\xbc"
      "cher.example";
  row.destinations = AddressList{"x@example.org"};
  builder.add("both@xn--bcher-kva.example", 1, row);
  row = AddressRow();
  row.aliases_off = true;
  builder.add("off@example.org", 1, row);
  row = AddressRow();
  row.fault = "two rows";
  builder.add("bad@example.org", 1, row);
  snapshot.set = builder.finish();
  snapshot.set_read_at = at(6);
  return snapshot;
}

std::string encode(const Snapshot& snapshot) {
  std::string bytes;
  encode_snapshot(snapshot, [&](std::string_view piece) { bytes += piece; });
  return bytes;
}

// The file is read in pieces of `step` bytes.
std::unique_ptr<Snapshot> decode(std::string_view bytes, std::size_t max_bytes = kPlenty, std::size_t step = 1U << 20) {
  return decode_snapshot(
      [&](char* into, std::size_t size) {
        const std::size_t piece = std::min({size, step, bytes.size()});
        std::copy_n(bytes.data(), piece, into);
        bytes.remove_prefix(piece);
        return piece;
      },
      max_bytes);
}

std::map<std::string, std::pair<DomainKind, std::string>> all(const Domains& domains) {
  std::map<std::string, std::pair<DomainKind, std::string>> entries;
  domains.each([&](const std::string& key, const Domains::Entry& entry) {
    entries.emplace(key, std::pair(entry.kind, entry.target));
  });
  return entries;
}

std::multimap<std::pair<RuleKind, std::string>, std::string> all(const Rules& rules) {
  std::multimap<std::pair<RuleKind, std::string>, std::string> entries;
  rules.each([&](RuleKind kind, std::string_view name, std::string_view value) {
    entries.emplace(std::pair(kind, std::string(name)), std::string(value));
  });
  return entries;
}

std::map<std::string, AddressRow> all(const RowSet& set) {
  std::map<std::string, AddressRow> rows;
  set.each([&](std::string_view key, const AddressRow& row) { return rows.emplace(key, row).second; });
  return rows;
}

void check_same(const Snapshot& a, const Snapshot& b) {
  CHECK(a.database == b.database);
  CHECK(a.preset == b.preset);
  CHECK(a.schema_version == b.schema_version);
  REQUIRE((a.domains != nullptr) == (b.domains != nullptr));
  if (a.domains) {
    CHECK(a.domains->schema_version == b.domains->schema_version);
    CHECK((all(*a.domains) == all(*b.domains)));
    CHECK((all(*a.domains->rules) == all(*b.domains->rules)));
    CHECK(a.domains->rules->fault == b.domains->rules->fault);
  }
  CHECK((a.domains_read_at == b.domains_read_at));
  CHECK((a.feed == b.feed));
  CHECK((a.followed_since == b.followed_since));
  REQUIRE(a.rows.size() == b.rows.size());
  for (std::size_t i = 0; i < a.rows.size(); ++i) {
    CHECK(a.rows[i].key == b.rows[i].key);
    CHECK((a.rows[i].row == b.rows[i].row));
    CHECK((a.rows[i].read_at == b.rows[i].read_at));
    CHECK(a.rows[i].of_known_address == b.rows[i].of_known_address);
  }
  REQUIRE((a.set != nullptr) == (b.set != nullptr));
  if (a.set) CHECK((all(*a.set) == all(*b.set)));
  CHECK((a.set_read_at == b.set_read_at));
}

// What is wrong with it; empty: nothing.
std::string refusal(std::string_view bytes) {
  try {
    decode(bytes);
  } catch (const SnapshotError& error) {
    return error.what();
  }
  return "";
}

std::string refusal_of_file(const std::string& path) {
  try {
    read_snapshot(path, kPlenty);
  } catch (const SnapshotError& error) {
    return error.what();
  }
  return "";
}

std::string failure_to_write(const std::string& path, const Snapshot& snapshot) {
  try {
    write_snapshot(path, snapshot);
  } catch (const SnapshotError& error) {
    return error.what();
  }
  return "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> names_in(const TempDir& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

Snapshot of_database(const std::string& name) {
  Snapshot snapshot;
  snapshot.database = name;
  return snapshot;
}

Snapshot with_too_long_a_row() {
  Snapshot snapshot;
  Snapshot::Row& row = snapshot.rows.emplace_back();
  row.key = "list@example.org";
  row.row.destinations.add(std::string(17U << 20, 'x'));
  return snapshot;
}

}  // namespace

TEST_CASE("a snapshot reads back whole") {
  const Snapshot snapshot = full_snapshot();
  const std::string bytes = encode(snapshot);
  check_same(snapshot, *decode(bytes));
  check_same(snapshot, *decode(bytes, kPlenty, 1));
  check_same(snapshot, *decode(bytes, kPlenty, 7));
}

TEST_CASE("an empty snapshot reads back") {
  check_same(Snapshot(), *decode(encode(Snapshot())));
  Snapshot empty_sets;
  empty_sets.domains = std::make_shared<Domains>();
  empty_sets.set = RowSet::Builder(0).finish();
  check_same(empty_sets, *decode(encode(empty_sets)));
}

TEST_CASE("a snapshot of many rows goes in pieces") {
  Snapshot snapshot;
  RowSet::Builder builder(8U << 20);
  AddressRow row;
  row.destinations.add(std::string(100, 'x'));
  for (int i = 0; i < 5000; ++i) builder.add("user-" + std::to_string(i), 1, row);
  for (int i = 0; i < 30'000; ++i) row.destinations.add(std::to_string(i) + "@example.org");
  builder.add("list", 1, row);
  snapshot.set = builder.finish();
  std::string bytes;
  std::size_t longest = 0;
  encode_snapshot(snapshot, [&](std::string_view piece) {
    bytes += piece;
    longest = std::max(longest, piece.size());
  });
  CHECK(bytes.size() > 1'000'000);
  CHECK(longest < bytes.size() - 300'000);
  check_same(snapshot, *decode(bytes, 8U << 20));
  check_same(snapshot, *decode(bytes, 8U << 20, 4099));
}

TEST_CASE("a set that is larger than it may be is left out") {
  const Snapshot snapshot = full_snapshot();
  const auto back = decode(encode(snapshot), 100);
  CHECK(back->set == nullptr);
  Snapshot without = snapshot;
  without.set.reset();
  check_same(without, *back);
}

TEST_CASE("a snapshot with any byte changed is refused") {
  const std::string bytes = encode(full_snapshot());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int change : {0x01, 0x20, 0x80, 0xff}) {
      std::string other = bytes;
      other[i] = static_cast<char>(other[i] ^ change);
      if (refusal(other).empty()) FAIL("byte " << i << " changed by " << change);
    }
  }
}

TEST_CASE("a snapshot that was cut or has more behind it is refused") {
  const std::string bytes = encode(full_snapshot());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (refusal(std::string_view(bytes).substr(0, size)).empty()) FAIL("cut to " << size);
  }
  CHECK(has(refusal(bytes + '\0'), "more behind its end"));
  CHECK(has(refusal(bytes + bytes), "more behind its end"));
}

TEST_CASE("a snapshot of another format or of something else says so") {
  std::string bytes = encode(Snapshot());
  bytes[kMagicSize] = 9;
  CHECK(refusal(bytes) == "is of format 9, and this program reads 2");
  CHECK(refusal("SQLite format 3, and whatever comes then") == "is no snapshot of vmailkit");
  CHECK(has(refusal(""), "ends early"));
}

TEST_CASE("a row that no snapshot takes back is not written") {
  CHECK_THROWS_AS(encode(with_too_long_a_row()), SnapshotError);
}

TEST_CASE("a snapshot is written for its owner alone and reads back from its file") {
  const TempDir folder;
  const std::string path = folder.file("snapshot");
  CHECK(read_snapshot(path, kPlenty) == nullptr);
  const mode_t before = ::umask(0);
  write_snapshot(path, full_snapshot());
  ::umask(before);
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  check_same(full_snapshot(), *read_snapshot(path, kPlenty));
  CHECK(names_in(folder) == std::vector<std::string>{"snapshot"});
}

TEST_CASE("a snapshot takes the place of the one before at once") {
  const TempDir folder;
  const std::string path = folder.file("snapshot");
  write_snapshot(path, of_database("first"));
  std::ifstream reader(path, std::ios::binary);
  write_snapshot(path, of_database("second"));
  CHECK(read_snapshot(path, kPlenty)->database == "second");
  // Who has the file before open goes on reading it.
  const std::string first((std::istreambuf_iterator<char>(reader)), std::istreambuf_iterator<char>());
  CHECK(decode(first)->database == "first");
}

TEST_CASE("what a killed process left behind is replaced") {
  const TempDir folder;
  const std::string path = folder.file("snapshot");
  SECTION("a file") {
    folder.write("snapshot.new", std::string(10'000, 'x'));
    ::chmod((path + ".new").c_str(), 0644);
    write_snapshot(path, of_database("new"));
  }
  SECTION("a symbolic link is not followed") {
    const std::string target = folder.write("target", "something else");
    std::filesystem::create_symlink(target, path + ".new");
    write_snapshot(path, of_database("new"));
    CHECK(content(target) == "something else");
    std::filesystem::remove(target);
  }
  CHECK(read_snapshot(path, kPlenty)->database == "new");
  CHECK(names_in(folder) == std::vector<std::string>{"snapshot"});
}

TEST_CASE("when a snapshot cannot be written the one before stays") {
  const TempDir folder;
  const std::string path = folder.file("snapshot");
  write_snapshot(path, of_database("first"));
  SECTION("for what it holds") {
    const std::string why = failure_to_write(path, with_too_long_a_row());
    CHECK(has(why, path + ": cannot be written: a row takes"));
    CHECK(names_in(folder) == std::vector<std::string>{"snapshot"});
  }
  SECTION("for want of room") {
    Snapshot large;
    large.database = std::string(1U << 20, 'x');
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const rlimit little{300U << 10, before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &little) == 0);
    const std::string why = failure_to_write(path, large);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, handler);
    CHECK(has(why, path + ": cannot be written: File too large"));
    CHECK(names_in(folder) == std::vector<std::string>{"snapshot"});
  }
  SECTION("for what stands in its way") {
    std::filesystem::create_directories(path + ".new/in the way");
    const std::string why = failure_to_write(path, of_database("second"));
    CHECK(has(why, path + ": cannot be written: Is a directory; what was written before stays"));
  }
  CHECK(read_snapshot(path, kPlenty)->database == "first");
  CHECK(has(failure_to_write(folder.file("none/snapshot"), Snapshot()), "No such file or directory"));
}

TEST_CASE("a file that is not ours alone is refused") {
  const TempDir folder;
  const std::string path = folder.file("snapshot");
  const std::string end = "; it is set aside and the directory is read from the database";
  SECTION("damaged") {
    folder.write("snapshot", encode(Snapshot()) + "x");
    CHECK(refusal_of_file(path) == path + ": is damaged: more behind its end" + end);
  }
  SECTION("empty") {
    folder.write("snapshot", "");
    CHECK(refusal_of_file(path) == path + ": is damaged: it ends early" + end);
  }
  SECTION("others may write to it") {
    write_snapshot(path, Snapshot());
    for (const mode_t mode : {0620U, 0602U, 0666U}) {
      REQUIRE(::chmod(path.c_str(), mode) == 0);
      CHECK(refusal_of_file(path) == path + ": others may write to it" + end);
    }
    REQUIRE(::chmod(path.c_str(), 0640) == 0);
    CHECK(refusal_of_file(path).empty());
  }
  SECTION("a symbolic link") {
    write_snapshot(folder.file("other"), Snapshot());
    std::filesystem::create_symlink(folder.file("other"), path);
    CHECK(refusal_of_file(path) == path + ": is a symbolic link" + end);
  }
  SECTION("a folder") {
    std::filesystem::create_directory(path);
    CHECK(refusal_of_file(path) == path + ": is not a regular file" + end);
  }
  SECTION("a FIFO that nobody writes to") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK(refusal_of_file(path) == path + ": is not a regular file" + end);
  }
  SECTION("another user's") {
    // Whoever is not root meets such a file anywhere.
    if (::geteuid() != 0) {
      CHECK(has(refusal_of_file("/etc/passwd"), "belongs to another user"));
    } else {
      write_snapshot(path, Snapshot());
      REQUIRE(::chown(path.c_str(), 65534, 65534) == 0);
      CHECK(refusal_of_file(path) == path + ": belongs to another user" + end);
    }
  }
}

TEST_CASE("a snapshot is set aside, and the next one written") {
  const TempDir folder;
  const std::string path = folder.write("snapshot", "damaged");
  folder.write("snapshot.bad", "damaged before");
  set_aside(path);
  CHECK(content(path + ".bad") == "damaged");
  CHECK(read_snapshot(path, kPlenty) == nullptr);
  set_aside(path);
  CHECK(content(path + ".bad") == "damaged");
  write_snapshot(path, of_database("next"));
  CHECK(read_snapshot(path, kPlenty)->database == "next");
}
