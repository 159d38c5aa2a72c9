#include "postfix-maps/policy/usage_client.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <deque>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "shared/control/blocking.h"
#include "shared/control/control.h"
#include "shared/runtime/channel.h"
#include "shared/runtime/log.h"

namespace vmail::policy {
namespace {

using nlohmann::json;
using Results = std::vector<Outcome<Used>>;

constexpr std::size_t kMostQuestions = 1000;
// More than the threads that read; a question that has to wait for one that hangs has the others.
constexpr std::size_t kMostConnections = 8;
constexpr auto kDeadline = std::chrono::seconds(1);

std::string request_for(const std::vector<directory::Mailbox>& mailboxes) {
  json list = json::array();
  for (const auto& mailbox : mailboxes) list.push_back({{"local", mailbox.local}, {"domain", mailbox.domain}});
  return control::encode({{"mailboxes", std::move(list)}});
}

// Throws json::exception for what is no reply to a question about so many.
Results results_of(const json& reply, std::size_t count) {
  if (const auto error = reply.find("error"); error != reply.end()) {
    return Results(count, Outcome<Used>::temp_fail(error->get<std::string>()));
  }
  Results results;
  for (const auto& mailbox : reply.at("mailboxes").get_ref<const json::array_t&>()) {
    if (const auto error = mailbox.find("error"); error != mailbox.end()) {
      results.push_back(Outcome<Used>::temp_fail(error->get<std::string>()));
    } else {
      results.push_back(Outcome<Used>::found(
          {mailbox.at("bytes").get<std::uint64_t>(), mailbox.at("messages").get<std::uint64_t>()}));
    }
  }
  if (results.size() != count) return Results(count, Outcome<Used>::temp_fail("the usage of other mailboxes came"));
  return results;
}

}  // namespace

// Each connection has one question at a time, so that a mailbox that takes long holds up no other. A deadline ends the
// connection with its question: what comes late is nobody's.
struct UsageClient::State : std::enable_shared_from_this<State> {
  struct Question {
    std::size_t count = 0;  // of mailboxes
    std::string request;
    Done done;
    std::unique_ptr<Timer> deadline;
    bool asked_again = false;
  };
  struct Link {
    std::shared_ptr<Channel> channel;  // owns the session
    const Session* session = nullptr;
    std::uint64_t question = 0;  // 0: idle
  };

  State(Loop& the_loop, std::string socket) : loop(the_loop), path(std::move(socket)) {}

  void ask(const std::vector<directory::Mailbox>& mailboxes, Done done);
  void go_on();
  void connect();
  void replied(const Session& session, const json& reply);
  void lost(const Session* session);
  void late(std::uint64_t id);
  void answer(std::uint64_t id, Results results);
  void fail(std::uint64_t id, const std::string& reason);
  std::vector<Link>::iterator link_of(const Session* session) {
    return std::find_if(links.begin(), links.end(), [&](const Link& link) { return link.session == session; });
  }

  Loop& loop;
  const std::string path;
  std::unordered_map<std::uint64_t, Question> questions;
  std::deque<std::uint64_t> waiting;  // for a connection; those that have ended meanwhile are passed over
  std::vector<Link> links;
  std::uint64_t last_id = 0;
};

namespace {

// Hands over what comes; it is told of its end by the channel.
class UsageSession final : public Session {
 public:
  UsageSession(Channel& channel, MoveOnlyFunction<void(const Session&, const json&)> replied)
      : channel_(channel), replied_(std::move(replied)) {}

  void on_bytes(std::string_view bytes) override {
    decoder_.feed(bytes);
    json reply;
    std::string why;
    switch (decoder_.next(reply, why)) {
      case control::Decoder::State::NeedMore:
        return;
      case control::Decoder::State::Malformed:
        log::warning("usage: vmail-lmtpd sent {}", why);
        return channel_.abort();
      case control::Decoder::State::Message:
        return replied_(*this, reply);
    }
  }
  void on_end_of_input() override { channel_.abort(); }
  void on_drain() override { channel_.abort(); }

 private:
  Channel& channel_;
  MoveOnlyFunction<void(const Session&, const json&)> replied_;
  control::Decoder decoder_;
};

}  // namespace

void UsageClient::State::ask(const std::vector<directory::Mailbox>& mailboxes, Done done) {
  const std::uint64_t id = ++last_id;
  Question& question = questions[id];
  question.count = mailboxes.size();
  question.done = std::move(done);
  const auto later = [&](auto&& what) {
    loop.post([weak = weak_from_this(), what] {
      if (const auto state = weak.lock()) what(*state);
    });
  };
  if (mailboxes.empty()) return later([id](State& state) { state.answer(id, {}); });
  if (questions.size() > kMostQuestions) {
    return later([id](State& state) { state.fail(id, "too many questions about usage at a time"); });
  }
  question.request = request_for(mailboxes);
  question.deadline = std::make_unique<Timer>(loop);
  question.deadline->start(kDeadline, [weak = weak_from_this(), id] {
    if (const auto state = weak.lock()) state->late(id);
  });
  waiting.push_back(id);
  later([](State& state) { state.go_on(); });
}

// Gives what waits to connections that are idle, or that can be made.
void UsageClient::State::go_on() {
  while (!waiting.empty()) {
    const std::uint64_t id = waiting.front();
    const auto question = questions.find(id);
    if (question == questions.end()) {
      waiting.pop_front();
      continue;
    }
    auto link = std::find_if(links.begin(), links.end(), [](const Link& each) { return each.question == 0; });
    if (link == links.end()) {
      if (links.size() >= kMostConnections) return;
      try {
        connect();
      } catch (const control::Error& error) {
        waiting.pop_front();
        fail(id, error.what());
        continue;
      }
      link = links.end() - 1;
    }
    waiting.pop_front();
    link->question = id;
    link->channel->send(question->second.request);
  }
}

void UsageClient::State::connect() {
  Peer peer;
  peer.address = path;
  const auto channel = std::make_shared<Channel>(loop, control::connect_now(path), std::move(peer));
  const auto session =
      std::make_shared<UsageSession>(*channel, [weak = weak_from_this()](const Session& from, const json& reply) {
        if (const auto state = weak.lock()) state->replied(from, reply);
      });
  links.push_back({channel, session.get(), 0});
  channel->start(session, [weak = weak_from_this(), session = session.get()](Channel&) {
    if (const auto state = weak.lock()) state->lost(session);
  });
}

void UsageClient::State::replied(const Session& session, const json& reply) {
  const auto link = link_of(&session);
  if (link == links.end()) return;
  const std::uint64_t id = std::exchange(link->question, 0);
  const auto question = questions.find(id);
  if (question == questions.end()) return link->channel->abort();  // nothing was asked
  Results results;
  try {
    results = results_of(reply, question->second.count);
  } catch (const json::exception&) {
    results.assign(question->second.count,
                   Outcome<Used>::temp_fail("its answer is none; are vmail-mapd and vmail-lmtpd of one version?"));
  }
  answer(id, std::move(results));
  loop.post([weak = weak_from_this()] {
    if (const auto state = weak.lock()) state->go_on();
  });
}

// A daemon that was restarted has closed its connections: what was on the way is asked once more.
void UsageClient::State::lost(const Session* session) {
  const auto link = link_of(session);
  if (link == links.end()) return;
  const std::uint64_t id = link->question;
  links.erase(link);
  const auto question = questions.find(id);
  if (question != questions.end()) {
    if (std::exchange(question->second.asked_again, true)) {
      fail(id, path + ": the connection ended without an answer");
    } else {
      waiting.push_front(id);
    }
  }
  go_on();
}

void UsageClient::State::late(std::uint64_t id) {
  const auto link = std::find_if(links.begin(), links.end(), [&](const Link& each) { return each.question == id; });
  if (link != links.end()) {
    link->channel->abort();
    links.erase(link);
  }
  fail(id, path + ": no answer within a second");
  go_on();
}

void UsageClient::State::answer(std::uint64_t id, Results results) {
  const auto question = questions.find(id);
  if (question == questions.end()) return;
  Done done = std::move(question->second.done);
  questions.erase(question);
  done(std::move(results));
}

void UsageClient::State::fail(std::uint64_t id, const std::string& reason) {
  const auto question = questions.find(id);
  if (question == questions.end()) return;
  answer(id, Results(question->second.count, Outcome<Used>::temp_fail("the usage is not known: " + reason)));
}

UsageClient::UsageClient(Loop& loop, std::string path) : state_(std::make_shared<State>(loop, std::move(path))) {}

UsageClient::~UsageClient() {
  for (const auto& link : std::exchange(state_->links, {})) link.channel->abort();
  while (!state_->questions.empty()) state_->fail(state_->questions.begin()->first, "vmail-mapd ends");
}

void UsageClient::ask(std::vector<directory::Mailbox> mailboxes, Done done) {
  assert(state_->loop.on_loop());
  state_->ask(mailboxes, std::move(done));
}

}  // namespace vmail::policy
