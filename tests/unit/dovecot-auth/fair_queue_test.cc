#include "dovecot-auth/fair_queue.h"

#include <memory>
#include <string>

#include "tests/support/catch.h"

using vmail::auth::FairQueue;

namespace {

// All that is in it, in the order in which it comes out.
std::string drain(FairQueue<std::string>& queue) {
  std::string all;
  while (auto item = queue.pop()) all += (all.empty() ? "" : " ") + *item;
  return all;
}

}  // namespace

TEST_CASE("sources take turns, each in its own order") {
  FairQueue<std::string> queue;
  for (const auto* item : {"a1", "a2", "a3", "a4", "b1", "c1", "c2"}) queue.push(std::string_view(item, 1), item);
  CHECK(queue.size() == 7);
  CHECK(drain(queue) == "a1 b1 c1 a2 c2 a3 a4");
  CHECK(queue.size() == 0);
  CHECK_FALSE(queue.pop());
}

TEST_CASE("who comes again waits behind those that wait already") {
  FairQueue<std::string> queue;
  queue.push("a", "a1");
  queue.push("b", "b1");
  CHECK(queue.pop() == "a1");
  queue.push("a", "a2");
  queue.push("c", "c1");
  CHECK(drain(queue) == "b1 a2 c1");
}

TEST_CASE("the source that has most makes room for one that has less") {
  FairQueue<std::string> queue;
  CHECK_FALSE(queue.make_room_for("a"));
  for (const auto* item : {"a1", "a2", "a3", "b1"}) queue.push(std::string_view(item, 1), item);
  CHECK_FALSE(queue.make_room_for("a"));
  CHECK(queue.make_room_for("b") == "a3");  // the newest
  CHECK_FALSE(queue.make_room_for("b"));    // one more is no reason
  CHECK(queue.make_room_for("c") == "a2");
  CHECK_FALSE(queue.make_room_for("c"));
  CHECK(queue.size() == 2);
  CHECK(drain(queue) == "a1 b1");
}

TEST_CASE("what only moves can wait, and a source that has gone is forgotten") {
  FairQueue<std::unique_ptr<int>> queue;
  for (int i = 0; i < 1000; ++i) {
    queue.push("source " + std::to_string(i), std::make_unique<int>(i));
    const auto item = queue.pop();
    REQUIRE(item);
    CHECK(**item == i);
  }
  queue.push("one", std::make_unique<int>(1));
  queue.push("one", std::make_unique<int>(2));
  CHECK(**queue.make_room_for("two") == 2);
  CHECK(queue.size() == 1);
}

TEST_CASE("the source that has most loses its newest") {
  FairQueue<std::string> queue;
  CHECK_FALSE(queue.push_out());
  for (const auto* item : {"a1", "b1", "b2", "c1"}) queue.push(std::string_view(item, 1), item);
  CHECK(queue.push_out() == "b2");
  CHECK(drain(queue) == "a1 b1 c1");
}
