#include "dovecot-auth/hash_queue.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>
#include <vector>

#include "shared/password/sha512_crypt.h"
#include "shared/runtime/log.h"

namespace vmail::auth {
namespace {

// Rounds between two looks at the queue and the clock: less than a millisecond.
constexpr std::uint64_t kSlice = 250;
// One turn in so many is a stranger's, so that many known ones do not shut them out.
constexpr unsigned kStrangersTurn = 4;

password::Result not_computed(const char* why) {
  return {password::Verdict::NotComputed, why};
}

}  // namespace

// One thread: what it hashes at the moment.
class HashQueue::Worker {
 public:
  explicit Worker(HashQueue& queue) : queue_(queue), engines_(password::make_sha512_engines()) {}

  void run() {
    while (gather()) advance();
  }
  const password::Sha512Engines& engines() const { return engines_; }

 private:
  struct Running {
    Running(Job&& what, const password::StoredHash& stored)
        : job(std::move(what)), expected(stored.digest.copy()), hash(job.password, stored.salt, stored.cost) {}
    Job job;
    Secret expected;
    password::Sha512Crypt hash;
  };
  struct Alone {
    Job job;
    password::StoredHash hash;
  };

  // Takes what waits, as far as it goes side by side; false at the end of the queue.
  bool gather() {
    const std::size_t width = engines_.several ? engines_.several->width() : 1;
    while (!alone_ && running_.size() < width) {
      auto job = queue_.take(running_.empty());
      if (!job) break;
      begin(std::move(*job));
    }
    return !running_.empty() && !queue_.stopping();
  }

  void begin(Job&& job) {
    if (queue_.clock_.now() >= job.expires) return late(job);
    auto parsed = password::parse_hash(job.stored.view(), job.limits);
    if (!parsed.hash) return queue_.report(job.id, {password::Verdict::BadData, parsed.why_not});
    if (!password::may_match(job.password, job.limits)) {
      return queue_.report(job.id, {password::Verdict::Mismatch, {}});
    }
    if (engines_.one && password::takes_sha512_engine(*parsed.hash)) {
      running_.push_back(std::make_unique<Running>(std::move(job), *parsed.hash));
    } else if (running_.empty()) {
      queue_.report(job.id, password::compute(job.password, *parsed.hash));
    } else {
      // Those that run must not stand still meanwhile; they end soon, since no further ones are taken.
      alone_.emplace(Alone{std::move(job), std::move(*parsed.hash)});
    }
  }

  void advance() {
    hashes_.clear();
    for (const auto& running : running_) hashes_.push_back(&running->hash);
    // Half of its lanes empty, the engine for several does no better than the other.
    const bool worth_it = engines_.several && hashes_.size() > engines_.several->width() / 2;
    (worth_it ? engines_.several : engines_.one)->advance(hashes_, kSlice);

    const Instant now = queue_.clock_.now();
    std::erase_if(running_, [&](const std::unique_ptr<Running>& running) {
      if (running->hash.done()) {
        const bool match = running->hash.is(running->expected.view());
        queue_.report(running->job.id, {match ? password::Verdict::Match : password::Verdict::Mismatch, {}});
        return true;
      }
      if (now < running->job.expires) return false;
      late(running->job);
      return true;
    });
    if (!running_.empty()) return;
    if (engines_.several) engines_.several->forget();
    if (!alone_) return;
    queue_.report(alone_->job.id, password::compute(alone_->job.password, alone_->hash));
    alone_.reset();
  }

  void late(const Job& job) { queue_.report(job.id, not_computed("its time was over before its hash was computed")); }

  HashQueue& queue_;
  password::Sha512Engines engines_;
  std::vector<std::unique_ptr<Running>> running_;
  std::vector<password::Sha512Crypt*> hashes_;
  // Taken, but not for the engines: next, when nothing runs any more.
  std::optional<Alone> alone_;
};

HashQueue::HashQueue(Loop& loop, const Clock& clock, std::size_t threads, std::size_t limit)
    : loop_(loop), clock_(clock), limit_(limit), pool_("hash", threads, threads) {
  for (std::size_t i = 0; i < threads; ++i) {
    const bool queued = pool_.submit([this](std::size_t number) {
      Worker worker(*this);
      const auto& engines = worker.engines();
      if (number == 0) {
        log::info("SHA512-CRYPT is hashed by {}{}", engines.one ? engines.one->name() : "libxcrypt",
                  engines.several ? ", several at once by " + engines.several->name() : "");
      }
      worker.run();
    });
    assert(queued);
    (void)queued;
  }
}

HashQueue::~HashQueue() {
  stop();
}

bool HashQueue::submit(bool known, std::string_view source, Secret password, Secret stored, password::Limits limits,
                       Instant expires, Done done) {
  assert(loop_.on_loop());
  std::optional<Job> pushed_out;
  {
    Lock lock(mutex_);
    if (stopping_) return false;
    if (size() >= limit_) {
      pushed_out = make_room_for(known, source);
      if (!pushed_out) return false;
    }
    (known ? known_ : strangers_).push(source, {++last_id_, std::move(password), std::move(stored), limits, expires});
  }
  ready_.notify_one();
  done_.emplace(last_id_, std::move(done));
  if (pushed_out) report(pushed_out->id, not_computed("too many logins wait, and others have more right to"));
  return true;
}

void HashQueue::stop() {
  {
    Lock lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  pool_.stop();
  Lock lock(mutex_);
  while (pop()) {
  }
  done_.clear();
}

std::size_t HashQueue::waiting() const {
  Lock lock(mutex_);
  return size();
}

std::optional<HashQueue::Job> HashQueue::take(bool wait) {
  Lock lock(mutex_);
  while (wait && size() == 0 && !stopping_) ready_.wait(mutex_);
  if (stopping_) return std::nullopt;
  return pop();
}

std::optional<HashQueue::Job> HashQueue::pop() {
  const bool strangers_first = ++turn_ % kStrangersTurn == 0;
  auto job = (strangers_first ? strangers_ : known_).pop();
  return job ? std::move(job) : (strangers_first ? known_ : strangers_).pop();
}

std::optional<HashQueue::Job> HashQueue::make_room_for(bool known, std::string_view source) {
  if (!known) return strangers_.make_room_for(source);
  auto job = strangers_.push_out();
  return job ? std::move(job) : known_.make_room_for(source);
}

bool HashQueue::stopping() const {
  Lock lock(mutex_);
  return stopping_;
}

void HashQueue::report(std::uint64_t id, password::Result result) {
  loop_.post([this, id, result = std::move(result)]() mutable {
    auto job = done_.extract(id);
    if (!job.empty()) job.mapped()(std::move(result));
  });
}

}  // namespace vmail::auth
