#include "dovecot-lmtp-store/quota_status.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "shared/base/text.h"
#include "shared/control/blocking.h"
#include "shared/runtime/channel.h"

namespace vmail::store {
namespace {

constexpr std::size_t kMaxReply = 4096;

// Reads one reply and hands it over.
class Answer final : public Session {
 public:
  using Replied = MoveOnlyFunction<void(const std::string& reply)>;

  Answer(Channel& channel, Replied replied) : channel_(channel), replied_(std::move(replied)) {}

  void on_bytes(std::string_view bytes) override {
    reply_.append(bytes.substr(0, kMaxReply - std::min(kMaxReply, reply_.size())));
    if (reply_.size() < kMaxReply && reply_.find("\n\n") == std::string::npos) return;
    replied_(reply_);
    channel_.abort();
  }
  void on_end_of_input() override { channel_.abort(); }
  void on_drain() override { channel_.abort(); }

 private:
  Channel& channel_;
  Replied replied_;
  std::string reply_;
};

}  // namespace

Outcome<bool> parse_quota_status(std::string_view reply) {
  constexpr std::string_view kAction = "action=";
  if (!reply.starts_with(kAction)) return Outcome<bool>::temp_fail("what came is no reply of quota-status");
  const std::string_view action = trim(reply.substr(kAction.size(), reply.find('\n') - kAction.size()));
  const std::string_view word = action.substr(0, action.find(' '));
  if (equal_ignoring_ascii_case(word, "OK") || equal_ignoring_ascii_case(word, "DUNNO")) {
    return Outcome<bool>::found(true);
  }
  // quota_status_overquota is "554 5.2.2 ..." unless the site says otherwise.
  if (word.size() == 3 && (word[0] == '4' || word[0] == '5') && parse_number(word)) return Outcome<bool>::found(false);
  return Outcome<bool>::temp_fail("quota-status answered \"" + printable(action, 200) + '"');
}

// Each question has a connection of its own: the service takes one at a time on each.
struct QuotaStatus::State : std::enable_shared_from_this<State> {
  struct Question {
    Done done;
    std::shared_ptr<Channel> channel;  // owns the session
    std::unique_ptr<Timer> deadline;
  };

  State(Loop& the_loop, std::string socket) : loop(the_loop), path(std::move(socket)) {}

  void ask(std::string request, Done done);
  void connect(std::uint64_t id, const std::string& request);
  void answer(std::uint64_t id, Outcome<bool> outcome);
  void fail(std::uint64_t id, const std::string& reason) {
    answer(id, Outcome<bool>::temp_fail("Dovecot did not say whether there is room: " + path + ": " + reason));
  }

  Loop& loop;
  const std::string path;
  std::unordered_map<std::uint64_t, Question> questions;
  std::uint64_t last_id = 0;
};

void QuotaStatus::State::ask(std::string request, Done done) {
  const std::uint64_t id = ++last_id;
  Question& question = questions[id];
  question.done = std::move(done);
  question.deadline = std::make_unique<Timer>(loop);
  question.deadline->start(kDeadline, [weak = weak_from_this(), id] {
    if (const auto state = weak.lock()) state->fail(id, "no answer within two seconds");
  });
  loop.post([weak = weak_from_this(), id, request = std::move(request)] {
    if (const auto state = weak.lock()) state->connect(id, request);
  });
}

void QuotaStatus::State::connect(std::uint64_t id, const std::string& request) {
  const auto found = questions.find(id);
  if (found == questions.end()) return;
  if (questions.size() > kMostQuestions) return fail(id, "too many questions at a time");
  try {
    Peer peer;
    peer.address = path;
    const auto channel = std::make_shared<Channel>(loop, control::connect_now(path), std::move(peer));
    const auto session = std::make_shared<Answer>(*channel, [weak = weak_from_this(), id](const std::string& reply) {
      const auto state = weak.lock();
      if (!state) return;
      auto outcome = parse_quota_status(reply);
      outcome.is_temp_fail() ? state->fail(id, outcome.reason()) : state->answer(id, std::move(outcome));
    });
    found->second.channel = channel;
    channel->start(session, [weak = weak_from_this(), id](Channel&) {
      if (const auto state = weak.lock()) state->fail(id, "the connection ended without an answer");
    });
    channel->send(request);
  } catch (const control::Error& error) {
    fail(id, error.what());
  }
}

void QuotaStatus::State::answer(std::uint64_t id, Outcome<bool> outcome) {
  const auto found = questions.find(id);
  if (found == questions.end()) return;
  Question question = std::move(found->second);
  questions.erase(found);
  // Not inside a call of its session, which the channel owns.
  if (question.channel) {
    loop.post([channel = std::move(question.channel)] { channel->abort(); });
  }
  question.done(std::move(outcome));
}

QuotaStatus::QuotaStatus(Loop& loop, std::string path) : state_(std::make_shared<State>(loop, std::move(path))) {}

QuotaStatus::~QuotaStatus() {
  while (!state_->questions.empty()) state_->fail(state_->questions.begin()->first, "vmail-lmtpd ends");
}

void QuotaStatus::ask(const std::string& address, std::uint64_t size, Done done) {
  state_->ask("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nrecipient=" + address +
                  "\nsize=" + std::to_string(size) + "\n\n",
              std::move(done));
}

}  // namespace vmail::store
