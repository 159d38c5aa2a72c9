#include "postfix-maps/policy/limits.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cassert>

#include "shared/base/text.h"

namespace vmail::policy {
namespace {

using config::Limit;

constexpr std::size_t kMaxCounters = 200000;
constexpr std::size_t kMaxTold = 10000;
constexpr std::size_t kMaxHeld = 1000;
constexpr std::size_t kMaxDistinct = 100000;
constexpr std::size_t kCountersPerFlush = 500;
constexpr Duration kFlush = std::chrono::seconds(1);
constexpr Duration kSweep = std::chrono::minutes(1);
constexpr std::int64_t kHeldWindow = 86400;
// From this share on the journal is asked before the answer: near the limit, and of what the others do not know yet;
// and of a counter that has just been made, since a restart forgets. So several hosts together let through at most a
// fortieth of the limit too much for each host but one.
constexpr std::int64_t kNear = 5;  // a fifth is left
constexpr std::int64_t kUnwritten = 40;

UsageCounter held_counter(const Sent& sent) {
  return {sent.login, "held", kHeldWindow};
}

std::int64_t amount_of(const Limit& limit) {
  return static_cast<std::int64_t>(*limit.amount);
}

std::string prefix_text(int family, const unsigned char* bytes, const char* length) {
  char text[INET6_ADDRSTRLEN] = "";
  return ::inet_ntop(family, bytes, text, sizeof text) == nullptr ? "" : std::string(text) + length;
}

}  // namespace

std::string network_of(std::string_view address) {
  const std::string text(address);
  unsigned char bytes[16] = {};
  if (::inet_pton(AF_INET, text.c_str(), bytes) == 1) {
    bytes[3] = 0;
    return prefix_text(AF_INET, bytes, "/24");
  }
  if (::inet_pton(AF_INET6, text.c_str(), bytes) != 1) return {};
  std::fill(bytes + 8, bytes + 16, static_cast<unsigned char>(0));
  return prefix_text(AF_INET6, bytes, "/64");
}

Limits::Limits(Loop& loop, const Clock& clock, std::unique_ptr<directory::UsageJournal> journal, std::string host,
               Settings settings)
    : clock_(clock),
      journal_(std::move(journal)),
      host_(std::move(host)),
      settings_(settings),
      counters_(kMaxCounters),
      timer_(loop),
      sweeper_(loop) {
  sweep();
}

Limits::~Limits() {
  stop();
}

std::int64_t Limits::unix_time() const {
  return std::chrono::duration_cast<std::chrono::seconds>(clock_.wall().time_since_epoch()).count();
}

std::vector<Limits::Counted> Limits::counted(const Sent& sent, std::int64_t now) const {
  std::vector<Counted> all;
  for (const Limit& limit : sent.limits) {
    if (!limit.amount) continue;
    Counted each{&limit, {"", config::word(limit.measure), limit.window.count()}, 0};
    switch (limit.scope) {
      case Limit::Scope::Login:
        each.counter.subject = sent.login;
        break;
      case Limit::Scope::Domain:
        each.counter.subject = sent.login.substr(sent.login.rfind('@'));
        break;
      case Limit::Scope::Network:
        each.counter.subject = network_of(sent.client);
        break;
    }
    if (each.counter.subject.empty()) continue;
    switch (limit.measure) {
      case Limit::Measure::Messages:
        each.add = 1;
        break;
      case Limit::Measure::Recipients:
        each.add = static_cast<std::int64_t>(sent.recipients);
        break;
      case Limit::Measure::DistinctRecipients:
        each.add = counters_.unseen(each.counter, sent.distinct, now);
        break;
      case Limit::Measure::Bytes:
        each.add = static_cast<std::int64_t>(sent.bytes);
        break;
    }
    all.push_back(std::move(each));
  }
  return all;
}

bool Limits::must_ask(const std::vector<Counted>& counted, std::int64_t now) const {
  if (!journal_ || stopped_ || clock_.now() < ask_again_) return false;
  return std::any_of(counted.begin(), counted.end(), [&](const Counted& each) {
    const std::int64_t amount = amount_of(*each.limit);
    return !counters_.asked(each.counter) || counters_.used(each.counter, now) + each.add > amount - amount / kNear ||
           counters_.unwritten(each.counter) + each.add > amount / kUnwritten;
  });
}

std::optional<Verdict> Limits::count(Sent sent, MoveOnlyFunction<void(const Verdict&)> later) {
  const std::int64_t now = unix_time();
  const auto counts = counted(sent, now);
  if (!must_ask(counts, now)) return decide(sent);
  directory::UsageQuestion question;
  for (const auto& each : counts) question.counters.push_back(counters_.question(each.counter, now));
  question.counters.push_back(counters_.question(held_counter(sent), now));
  ask(std::move(question), [this, sent = std::move(sent), later = std::move(later)]() mutable { later(decide(sent)); });
  return std::nullopt;
}

Verdict Limits::decide(const Sent& sent) {
  const std::int64_t now = unix_time();
  const auto counts = counted(sent, now);
  Verdict verdict;
  bool near = false;
  for (const auto& each : counts) {
    const std::int64_t used = counters_.used(each.counter, now) + each.add;
    const std::int64_t amount = amount_of(*each.limit);
    near = near || used > amount - amount / kNear;
    if (used <= amount) continue;
    verdict = reached(sent, each, now);
    verdict.used = used;
    break;
  }
  if (verdict.what == Verdict::What::Within || verdict.what == Verdict::What::Warn) {
    for (const auto& each : counts) {
      std::size_t suppressed = 0;
      if (!counters_.add(each.counter, each.add, now) && full_log_.allow(suppressed)) {
        log::warning("policy limits: more than {} counters; what {} sends is not counted", kMaxCounters,
                     printable(each.counter.subject));
      }
      if (each.limit->measure == Limit::Measure::DistinctRecipients) {
        counters_.see(each.counter, sent.distinct, now,
                      std::min(kMaxDistinct, static_cast<std::size_t>(amount_of(*each.limit))));
      }
    }
  }
  if (!counts.empty()) flush_after(near ? Duration::zero() : kFlush);
  return verdict;
}

Verdict Limits::reached(const Sent& sent, const Counted& which, std::int64_t now) {
  Verdict verdict;
  verdict.what = settings_.at_limit;
  verdict.limit = *which.limit;
  if (verdict.what == Verdict::What::Hold) {
    const UsageCounter held = held_counter(sent);
    if (counters_.used(held, now) >= static_cast<std::int64_t>(settings_.hold_messages) || held_.size() >= kMaxHeld ||
        !counters_.add(held, 1, now)) {
      verdict.what = Verdict::What::Reject;
    } else {
      held_.push_back({host_, sent.queue_id, sent.login});
    }
  }
  const std::string key = sent.login + '\n' + which.counter.subject + '\n' + config::limit_text(*which.limit);
  const auto known = told_.find(key);
  verdict.first = known == told_.end() || known->second <= now;
  if (verdict.first && (known != told_.end() || told_.size() < kMaxTold)) told_[key] = now + which.counter.window;
  return verdict;
}

void Limits::ask(directory::UsageQuestion question, MoveOnlyFunction<void()> then) {
  auto asked_for = std::make_shared<directory::UsageQuestion>(std::move(question));
  journal_->exchange(*asked_for, clock_.now() + settings_.deadline,
                     [this, asked_for, then = std::move(then)](Outcome<directory::UsageAnswer> answer) mutable {
                       if (answer.is_found()) counters_.exchanged(*asked_for, answer.value());
                       asked(answer.is_found() ? nullptr : &answer.reason());
                       then();
                     });
}

void Limits::asked(const std::string* failure) {
  if (failure != nullptr) {
    if (failure_.empty() && !stopped_) {
      log::warning("policy limits: what has been sent cannot be shared with other hosts, and goes on in memory: {}",
                   *failure);
    }
    ask_again_ = clock_.now() + kFlush;
    failure_ = failure->empty() ? "no reason" : *failure;
  } else if (!std::exchange(failure_, std::string()).empty()) {
    log::warning("policy limits: what has been sent is shared with other hosts again");
  }
}

void Limits::flush_after(Duration time) {
  if (!journal_ || stopped_ || flushing_ || (due_ && time > Duration::zero())) return;
  due_ = true;
  timer_.start(time, [this] {
    due_ = false;
    flush();
  });
}

// What is held first: it cannot be told from the counters.
void Limits::flush() {
  if (!journal_ || flushing_ || stopped_) return;
  flushing_ = true;
  if (held_.empty()) return write_counters();
  auto written = std::make_shared<std::vector<directory::HeldMessage>>(std::exchange(held_, {}));
  journal_->hold(*written, clock_.now() + settings_.deadline, [this, written](Outcome<bool> answer) {
    if (!answer.is_found()) held_.insert(held_.begin(), written->begin(), written->end());
    asked(answer.is_found() ? nullptr : &answer.reason());
    write_counters();
  });
}

void Limits::write_counters() {
  auto question = counters_.unwritten_question(kCountersPerFlush, unix_time());
  const auto done = [this] {
    flushing_ = false;
    // What came meanwhile, and what did not fit or could not be written.
    if (!held_.empty() || !counters_.unwritten_question(1, unix_time()).counters.empty()) flush_after(kFlush);
  };
  if (question.counters.empty() || stopped_) return done();
  ask(std::move(question), done);
}

void Limits::sweep() {
  const std::int64_t now = unix_time();
  counters_.sweep(now);
  std::erase_if(told_, [&](const auto& told) { return told.second <= now; });
  sweeper_.start(kSweep, [this] { sweep(); });
}

void Limits::stop() {
  if (std::exchange(stopped_, true)) return;
  timer_.cancel();
  sweeper_.cancel();
  if (journal_) journal_->stop();
}

}  // namespace vmail::policy
