#include "shared/directory/feed.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::directory;
using Kind = Feed::Result::Kind;

namespace {

// The tables of the feed, as one server has them.
struct Server {
  std::string identity = "first";
  std::string triggers = "noon";
  std::uint64_t next = 1;
  std::uint64_t increment = 1;
  std::map<std::uint64_t, FeedAnswer::Note> notes;  // what is committed
  std::size_t limit = 5000;

  std::uint64_t take_id() {
    const std::uint64_t id = next;
    next += increment;
    return id;
  }
  void commit(std::uint64_t id, const std::string& words = "") {
    const std::string key = "k" + std::to_string(id) + "@a.test";
    notes[id] = {id, key + words, {Change::Kind::Address, key}};
  }
  void add(std::size_t count) {
    for (; count > 0; --count) commit(take_id());
  }

  FeedAnswer answer(const FeedQuestion& question) const {
    FeedAnswer answer;
    answer.identity = identity;
    if (question.check_triggers) answer.triggers = triggers;
    if (!notes.empty()) {
      answer.newest = notes.rbegin()->first;
      answer.newest_witness = notes.rbegin()->second.witness;
    }
    if (question.from > 0) answer.more = read(question.from, UINT64_MAX, answer.notes);
    std::uint64_t behind = 0;
    for (const auto& [first, last] : question.spans) {
      REQUIRE(first > behind);
      REQUIRE(first <= last);
      behind = last;
      answer.more_late = read(first, last, answer.late) || answer.more_late;
    }
    return answer;
  }
  bool read(std::uint64_t first, std::uint64_t last, std::vector<FeedAnswer::Note>& into) const {
    for (auto note = notes.lower_bound(first); note != notes.end() && note->first <= last; ++note) {
      if (into.size() == limit) return true;
      into.push_back(note->second);
    }
    return false;
  }
};

// A reader with a clock of its own.
struct Reader {
  Feed feed;
  Instant now{};
  WallTime wall{std::chrono::hours(400000)};

  void pass(Duration time) {
    now += time;
    wall += std::chrono::duration_cast<WallTime::duration>(time);
  }
  Feed::Result poll(const Server& server, Duration later = std::chrono::seconds(1)) {
    pass(later);
    return feed.take(server.answer(feed.question(now)), now, wall);
  }
  // Asks until nothing more is said to be there, as a follower does.
  std::set<std::string> follow(const Server& server) {
    std::set<std::string> keys;
    for (bool more = true; more;) {
      const auto result = poll(server);
      REQUIRE(result.kind == Kind::Followed);
      for (const auto& change : result.changes) keys.insert(change.key);
      more = result.more;
    }
    return keys;
  }
};

std::set<std::string> keys_of(std::initializer_list<std::uint64_t> ids) {
  std::set<std::string> keys;
  for (const auto id : ids) keys.insert("k" + std::to_string(id) + "@a.test");
  return keys;
}

// One that follows, and knows what was committed and what not before it did.
Reader follower(const Server& server) {
  Reader reader;
  REQUIRE(reader.poll(server).kind == Kind::Gap);
  reader.follow(server);
  return reader;
}

}  // namespace

TEST_CASE("a feed that is read for the first time begins with a gap, at its newest note") {
  Server server;
  server.add(3);
  Reader reader;
  const auto first = reader.poll(server);
  CHECK(first.kind == Kind::Gap);
  CHECK(first.reason == "it is read for the first time");
  CHECK(reader.feed.position().last == 3);
  reader.follow(server);
  CHECK(reader.feed.position().holes.empty());
  server.add(2);
  CHECK(reader.follow(server) == keys_of({4, 5}));
  CHECK(reader.follow(server).empty());
}

TEST_CASE("what was open when a feed was read for the first time is seen when it is committed") {
  Server server;
  server.add(3);
  const auto open = server.take_id();
  server.add(1);
  Reader reader = follower(server);
  server.commit(open);
  CHECK(reader.follow(server) == keys_of({open}));
}

TEST_CASE("notes are seen in whatever order they are committed") {
  Server server;
  server.add(1);
  Reader reader = follower(server);
  std::mt19937 random(1);
  std::vector<std::uint64_t> open;
  std::set<std::string> expected, seen;
  for (int round = 0; round < 2000; ++round) {
    while (random() % 3 != 0) open.push_back(server.take_id());
    while (!open.empty() && random() % 2 == 0) {
      const auto at = open.begin() + static_cast<std::ptrdiff_t>(random() % open.size());
      if (random() % 8 != 0) {  // the others are rolled back
        server.commit(*at);
        expected.merge(keys_of({*at}));
      }
      open.erase(at);
    }
    seen.merge(reader.follow(server));
  }
  for (const auto id : open) {
    server.commit(id);
    expected.merge(keys_of({id}));
  }
  // Those that are older are asked for in turns.
  for (int round = 0; round < 200; ++round) seen.merge(reader.follow(server));
  CHECK(seen == expected);
}

TEST_CASE("an id that never comes is asked for during an hour") {
  Server server;
  server.add(1);
  Reader reader = follower(server);
  const auto rolled_back = server.take_id();
  server.add(1);
  reader.follow(server);
  REQUIRE(reader.feed.position().holes.size() == 1);
  CHECK(reader.feed.question(reader.now).spans == std::vector<FeedQuestion::Span>{{rolled_back, rolled_back}});
  reader.pass(std::chrono::minutes(58));
  reader.follow(server);
  CHECK(reader.feed.question(reader.now).spans.size() == 1);
  reader.pass(std::chrono::minutes(2));
  reader.follow(server);
  CHECK(reader.feed.question(reader.now).spans.empty());
}

TEST_CASE("each note is reported once") {
  Server server;
  server.add(1);
  Reader reader = follower(server);
  const auto open = server.take_id();
  server.add(3);
  const auto result = reader.poll(server);
  CHECK(result.changes.size() == 3);
  CHECK(reader.poll(server).changes.empty());
  server.commit(open);
  CHECK(reader.poll(server).changes.size() == 1);
  CHECK(reader.poll(server).changes.empty());
}

TEST_CASE("more notes than a poll reads are asked for at once") {
  Server server;
  server.add(1);
  server.limit = 10;
  Reader reader = follower(server);
  server.add(25);
  auto result = reader.poll(server);
  CHECK(result.changes.size() == 9);
  CHECK(result.more);
  CHECK(reader.follow(server).size() == 16);

  std::vector<std::uint64_t> open;
  for (int i = 0; i < 25; ++i) open.push_back(server.take_id());
  server.add(1);
  reader.follow(server);
  for (const auto id : open) server.commit(id);
  CHECK(reader.follow(server).size() == 25);
  CHECK(reader.feed.position().holes.empty());
}

TEST_CASE("a gap is recognised, and the feed goes on behind it") {
  Server server;
  server.add(20);
  Reader reader = follower(server);
  server.add(1);
  std::string reason;

  SECTION("pruned past the position") {
    server.add(5);
    server.notes.erase(server.notes.begin(), server.notes.find(24));
    reason = "is not there";
  }
  SECTION("truncated") {
    server.notes.clear();
    server.next = 1;
    reason = "is not there";
  }
  SECTION("truncated, and grown past the position") {
    server.notes.clear();
    server.next = 1;
    for (int i = 0; i < 40; ++i) server.commit(server.take_id(), " later");
    reason = "is another one";
  }
  SECTION("restored to an older state") {
    server.notes.erase(server.notes.find(15), server.notes.end());
    server.next = 15;
    reason = "is not there";
  }
  SECTION("restored to an older state that has grown past the position") {
    server.notes.erase(server.notes.find(15), server.notes.end());
    server.next = 15;
    for (int i = 0; i < 40; ++i) server.commit(server.take_id(), " later");
    reason = "is another one";
  }
  SECTION("made anew") {
    server.identity = "second";
    reason = "made anew, or another server";
  }
  SECTION("a server that lags behind") {
    server.notes.erase(server.notes.find(19), server.notes.end());
    reason = "lags";
  }
  const auto result = reader.poll(server);
  CHECK(result.kind == Kind::Gap);
  CHECK(result.reason.find(reason) != std::string::npos);
  CHECK(result.changes.empty());
  reader.follow(server);
  const auto id = server.next;
  server.add(1);
  CHECK(reader.follow(server) == keys_of({id}));
}

TEST_CASE("an empty table is followed from its first note on") {
  Server server;
  Reader reader = follower(server);
  CHECK(reader.follow(server).empty());
  server.add(2);
  CHECK(reader.follow(server) == keys_of({1, 2}));
}

TEST_CASE("triggers are looked at now and then, and other ones are a gap") {
  Server server;
  server.add(1);
  Reader reader = follower(server);
  CHECK_FALSE(reader.feed.question(reader.now + std::chrono::seconds(20)).check_triggers);
  CHECK(reader.feed.question(reader.now + std::chrono::seconds(30)).check_triggers);
  server.triggers = "midnight";
  CHECK(reader.poll(server).kind == Kind::Followed);
  CHECK(reader.poll(server, std::chrono::seconds(30)).kind == Kind::Gap);
  CHECK(reader.poll(server, std::chrono::seconds(30)).kind == Kind::Followed);

  // Also when that happened while there was no reader.
  Reader later{Feed(reader.feed.position()), reader.now, reader.wall};
  server.triggers = "morning";
  CHECK(later.poll(server).reason == "its triggers were made anew");
}

TEST_CASE("without a feed nothing is followed, and a feed that is back begins with a gap") {
  Server server;
  server.add(5);
  Reader reader = follower(server);
  FeedAnswer none;
  none.unavailable = "triggers are missing";
  const auto result = reader.feed.take(none, reader.now, reader.wall);
  CHECK(result.kind == Kind::Unavailable);
  CHECK(result.reason == "triggers are missing");
  CHECK(reader.feed.position() == FeedPosition{});
  const auto question = reader.feed.question(reader.now);
  CHECK(question.check_triggers);
  CHECK(question.from == 0);
  CHECK(reader.poll(server).kind == Kind::Gap);
}

TEST_CASE("a note that says that everything has changed is a gap, and one that says nothing is none") {
  Server server;
  server.add(1);
  Reader reader = follower(server);
  server.add(1);
  server.notes[server.next] = {server.next, "everything", {Change::Kind::All, ""}};
  ++server.next;
  const auto result = reader.poll(server);
  CHECK(result.kind == Kind::Gap);
  CHECK(result.changes.size() == 1);
  CHECK(reader.feed.position().last == 3);
  server.notes[server.next] = {server.next, "start", {Change::Kind::Address, ""}};
  CHECK(reader.follow(server).empty());
  CHECK(reader.feed.position().last == 4);
}

TEST_CASE("a restart in the midst of holes misses nothing") {
  Server server;
  server.add(1);
  Reader reader = follower(server);
  std::vector<std::uint64_t> open;
  for (int i = 0; i < 50; ++i) {
    open.push_back(server.take_id());
    server.add(2);
  }
  reader.follow(server);
  const FeedPosition position = reader.feed.position();
  CHECK(position.holes.size() == 50);

  Reader next{Feed(position), Instant{}, reader.wall + std::chrono::minutes(5)};
  server.commit(open[0]);
  server.commit(open[49]);
  server.add(1);
  CHECK(next.follow(server) == keys_of({open[0], open[49], server.next - 1}));
  CHECK(next.feed.position().holes.size() == 48);
}

TEST_CASE("three writers of a Galera cluster are followed") {
  Server server;
  server.commit(1);
  Reader reader = follower(server);
  // Each node gives ids of its own remainder, above all that it has seen; what it commits reaches the others later.
  struct Node {
    std::uint64_t remainder;
    std::uint64_t known = 1;
    std::vector<std::uint64_t> open{};
  } nodes[] = {{0}, {1}, {2}};
  std::mt19937 random(2);
  std::set<std::string> expected, seen;
  for (int round = 0; round < 3000; ++round) {
    Node& node = nodes[random() % 3];
    do ++node.known;
    while (node.known % 3 != node.remainder);
    node.open.push_back(node.known);
    for (Node& each : nodes) {
      if (random() % 2 == 0) each.known = std::max(each.known, server.notes.rbegin()->first);
      while (!each.open.empty() && random() % 3 != 0) {
        const auto id = each.open.back();
        each.open.pop_back();
        if (server.notes.count(id) > 0) continue;
        server.commit(id);
        expected.merge(keys_of({id}));
      }
    }
    if (round % 7 == 0) seen.merge(reader.follow(server));
  }
  for (int round = 0; round < 10; ++round) seen.merge(reader.follow(server));
  std::vector<std::string> missed;
  std::set_difference(expected.begin(), expected.end(), seen.begin(), seen.end(), std::back_inserter(missed));
  CHECK(missed.empty());
}

TEST_CASE("a hundred thousand holes cost a question no more than a bounded number of spans and rows") {
  Server server;
  server.increment = 3;
  server.add(1);
  Reader reader = follower(server);
  constexpr std::size_t kHoles = 100'000;
  for (std::size_t done = 0; done < kHoles; done += 1000) {
    server.add(1000);
    reader.follow(server);
  }
  REQUIRE(reader.feed.position().holes.size() >= kHoles - 1);
  std::set<std::uint64_t> asked;
  int polls = 0;
  for (; asked.size() < kHoles && polls < 150; ++polls) {
    const auto question = reader.feed.question(reader.now);
    CHECK(question.spans.size() <= 64);
    const auto answer = server.answer(question);
    CHECK(answer.late.size() <= 2000);
    for (const auto& hole : reader.feed.position().holes) {
      const auto span = std::lower_bound(question.spans.begin(), question.spans.end(), hole.first,
                                         [](const auto& each, std::uint64_t id) { return each.second < id; });
      if (span != question.spans.end() && span->first <= hole.first && hole.last <= span->second) {
        asked.insert(hole.first);
      }
    }
    reader.poll(server);
  }
  CHECK(asked.size() >= kHoles - 1);

  // One in the midst of the old ones is found when its turn comes; a young one at once.
  reader.pass(std::chrono::minutes(5));
  const auto old = server.notes.lower_bound(150'000)->first + 1;
  server.commit(old);
  std::set<std::string> seen;
  for (int i = 0; i < 150; ++i) seen.merge(reader.follow(server));
  CHECK(seen == keys_of({old}));
  server.add(10);
  reader.follow(server);
  server.commit(server.next - 8);
  CHECK(reader.follow(server) == keys_of({server.next - 8}));

  // More than these are not remembered.
  server.add(20'000);
  reader.follow(server);
  CHECK(reader.feed.position().holes.size() == kHoles);
  CHECK(reader.feed.position().holes.back().last == server.notes.rbegin()->first - 1);
}
