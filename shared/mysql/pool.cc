#include "shared/mysql/pool.h"

#include <fmt/format.h>

#include <atomic>
#include <set>
#include <unordered_map>
#include <vector>

#include "shared/base/mutex.h"
#include "shared/mysql/galera.h"
#include "shared/mysql/library.h"
#include "shared/mysql/link.h"
#include "shared/runtime/log.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::mysql {

// What loop and worker share of a question.
struct Pool::Question {
  std::uint64_t id;
  Instant deadline;
  std::atomic<bool> expired{false};  // the loop has answered: nobody waits any more
  MoveOnlyFunction<void(Connection&)> run;
};

struct Pool::Pending {
  const char* name;
  Instant deadline;
  Instant wake;  // when the loop looks at it again
  std::shared_ptr<Question> question;
  MoveOnlyFunction<void(const std::string* failure)> done;
};

// What a worker found out, on its way to the loop.
struct Failure {
  std::string reason;
  bool of_host = false;  // Hosts has logged it
};

// The loop's half. Workers' posts hold it weakly: what comes after the end is dropped.
struct Pool::Front {
  Front(Loop& its_loop, const Clock& its_clock) : loop(its_loop), clock(its_clock), timer(its_loop) {}

  void arm();
  void wake_up();
  void expire(std::uint64_t id);
  void finish(std::uint64_t id, const std::optional<Failure>& failure);
  void note(const char* name, const std::optional<Failure>& failure);

  Loop& loop;
  const Clock& clock;
  Workers* workers = nullptr;
  std::unordered_map<std::uint64_t, Pending> pending;
  std::set<std::pair<Instant, std::uint64_t>> wakes;  // of what is pending, the first is what the timer waits for
  std::set<std::string> failing;                      // names of questions that fail though a host answers
  std::uint64_t next_id = 1;
  Instant armed = Instant::max();  // when the timer fires; max: it does not
  Counters counters;
  Timer timer;
};

struct Pool::Workers {
  // One per worker. The mutex is for the loop, which looks for the question to interrupt, and for whoever finds that
  // the host hangs; what is not guarded belongs to the worker alone.
  struct Slot {
    Mutex mutex;
    std::uint64_t question VMAIL_GUARDED_BY(mutex) = 0;  // 0: none is being asked
    std::size_t asked VMAIL_GUARDED_BY(mutex) = 0;       // the host that is
    Instant began VMAIL_GUARDED_BY(mutex);               // and since when, and how long this try may take
    Instant until VMAIL_GUARDED_BY(mutex);

    Link link;
    std::size_t host = 0;  // of the connection
  };
  // While a host is being asked.
  class Try;

  Workers(Loop& its_loop, const Clock& its_clock, std::shared_ptr<Hosts> its_hosts, Options its_options,
          const Limits& limits)
      : loop(its_loop),
        clock(its_clock),
        hosts(std::move(its_hosts)),
        options(std::move(its_options)),
        writes(limits.writes),
        slots(limits.threads),
        answered(hosts->size()) {}

  void work(Slot& slot, const std::shared_ptr<Question>& question, const std::weak_ptr<Front>& front);
  std::optional<Failure> answer(Slot& slot, Question& question);
  bool connect(Slot& slot, std::size_t host, const Question& question);
  struct Asked {
    std::size_t host;
    Instant began;
  };
  // Shuts down the socket on which this question waits, if it does.
  std::optional<Asked> interrupt_question(std::uint64_t question);
  // A share of its time is over: when to look at it again.
  Instant check(std::uint64_t question, Instant deadline);
  // Every question that waits for this host.
  void interrupt_host(std::size_t host);
  Instant share(Instant deadline, std::size_t tries) const {
    const Instant now = clock.now();
    return now + std::max(Duration(std::chrono::milliseconds(1)), (deadline - now) / static_cast<int>(tries));
  }
  std::string late(std::size_t host) const {
    return fmt::format("database on {} did not answer in time", (*hosts)[host].text());
  }

  Loop& loop;
  const Clock& clock;
  const std::shared_ptr<Hosts> hosts;
  const Options options;
  const bool writes;
  std::vector<Slot> slots;
  std::vector<std::atomic<Instant>> answered;  // by each host, when it last answered a question of this pool
  std::unique_ptr<WorkerPool> threads;
};

class Pool::Workers::Try {
 public:
  Try(Slot& slot, std::uint64_t question, std::size_t host, Instant began, Instant until) : slot_(slot) {
    Lock lock(slot.mutex);
    slot.question = question;
    slot.asked = host;
    slot.began = began;
    slot.until = until;
  }
  ~Try() {
    Lock lock(slot_.mutex);
    slot_.question = 0;
  }
  Try(const Try&) = delete;
  Try& operator=(const Try&) = delete;

 private:
  Slot& slot_;
};

Pool::Pool(Loop& loop, const Clock& clock, std::shared_ptr<Hosts> hosts, Options options, Limits limits)
    : front_(std::make_shared<Front>(loop, clock)),
      workers_(std::make_unique<Workers>(loop, clock, std::move(hosts), std::move(options), limits)) {
  use_library();
  front_->workers = workers_.get();
  WorkerPool::Hooks hooks;
  hooks.started = [behind = limits.behind](std::size_t) {
    if (behind) stand_behind();
    begin_thread();
  };
  hooks.ended = [workers = workers_.get()](std::size_t worker) {
    workers->slots[worker].link.close();
    end_thread();
  };
  workers_->threads = std::make_unique<WorkerPool>("database", limits.threads, limits.queue, std::move(hooks));
  workers_->hosts->listen(this, [workers = workers_.get()](std::size_t host) { workers->interrupt_host(host); });
}

Pool::~Pool() {
  stop();
}

const Pool::Counters& Pool::counters() const {
  return front_->counters;
}

std::size_t Pool::waiting() const {
  return front_->pending.size();
}

void Pool::start(const char* name, Instant deadline, MoveOnlyFunction<void(Connection&)> run,
                 MoveOnlyFunction<void(const std::string* failure)> done) {
  assert(front_->loop.on_loop());
  Front& front = *front_;
  auto question = std::make_shared<Question>();
  question->id = front.next_id++;
  question->deadline = deadline;
  question->run = std::move(run);
  ++front.counters.asked;
  // No try can be over sooner than that: the usual question, which is answered at once, is looked at no more.
  const Instant wake = workers_->share(deadline, workers_->hosts->size());
  front.pending.emplace(question->id, Pending{name, deadline, wake, question, std::move(done)});
  front.wakes.emplace(wake, question->id);

  const std::uint64_t id = question->id;
  const std::weak_ptr<Front> weak = front_;
  const bool queued =
      workers_->threads && workers_->threads->submit([workers = workers_.get(), question, weak](std::size_t worker) {
        workers->work(workers->slots[worker], question, weak);
      });
  if (!queued) {
    ++front.counters.refused;
    front.loop.post([weak, id] {
      if (const auto alive = weak.lock()) {
        alive->finish(id, Failure{"too many questions wait for the database", true});
      }
    });
  }
  front.arm();
}

void Pool::stop() {
  assert(front_->loop.on_loop());
  if (!workers_->threads) return;
  const auto threads = std::move(workers_->threads);
  front_->timer.cancel();
  auto pending = std::exchange(front_->pending, {});
  front_->wakes.clear();
  for (const auto& [id, waiting] : pending) {
    waiting.question->expired = true;
    workers_->interrupt_question(id);
  }
  threads->stop();
  workers_->hosts->forget(this);
  const std::string reason = "the daemon is stopping";
  for (auto& entry : pending) entry.second.done(&reason);
}

// A timer that fires for a question which has long been answered costs less than one set anew for each.
void Pool::Front::arm() {
  if (wakes.empty() || armed <= wakes.begin()->first) return;
  armed = wakes.begin()->first;
  timer.start(std::max(Duration::zero(), armed - clock.now()), [this] { wake_up(); });
}

void Pool::Front::wake_up() {
  armed = Instant::max();
  const Instant now = clock.now();
  while (!wakes.empty() && wakes.begin()->first <= now) {
    const std::uint64_t id = wakes.begin()->second;
    Pending& waiting = pending.at(id);
    if (waiting.deadline <= now) {
      expire(id);
      continue;
    }
    wakes.erase(wakes.begin());
    waiting.wake = std::min(waiting.deadline, workers->check(id, waiting.deadline));
    wakes.emplace(waiting.wake, id);
  }
  arm();
}

void Pool::Front::expire(std::uint64_t id) {
  pending.at(id).question->expired = true;
  ++counters.orphaned;
  Failure failure{"the database did not answer in time", true};
  if (const auto asked = workers->interrupt_question(id)) {
    failure.reason = workers->late(asked->host);
    // One that has answered others meanwhile is not down: this one question is slow.
    if (workers->answered[asked->host].load() < asked->began) {
      workers->hosts->failed(asked->host, asked->began, failure.reason, true);
    }
  } else if (const std::string last = workers->hosts->last_failure(); !last.empty()) {
    failure.reason += "; the last failure was: " + last;
  }
  finish(id, failure);
}

void Pool::Front::finish(std::uint64_t id, const std::optional<Failure>& failure) {
  assert(loop.on_loop());
  const auto found = pending.find(id);
  if (found == pending.end()) return;  // its deadline was first
  Pending waiting = std::move(found->second);
  wakes.erase({waiting.wake, id});
  pending.erase(found);
  note(waiting.name, failure);
  if (failure) ++counters.failed;
  waiting.done(failure ? &failure->reason : nullptr);
}

// A question that a working host refuses (a missing table, a grant) is logged when that begins and when it ends.
void Pool::Front::note(const char* name, const std::optional<Failure>& failure) {
  if (failure && failure->of_host) return;
  if (failure) {
    if (failing.insert(name).second) log::error("question-fails question={}: {}", name, failure->reason);
  } else if (!failing.empty() && failing.erase(name) > 0) {
    log::warning("question-works question={}: it is answered again", name);
  }
}

std::optional<Pool::Workers::Asked> Pool::Workers::interrupt_question(std::uint64_t question) {
  for (auto& slot : slots) {
    Lock lock(slot.mutex);
    if (slot.question != question) continue;
    slot.link.interrupt();
    return Asked{slot.asked, slot.began};
  }
  return std::nullopt;
}

Instant Pool::Workers::check(std::uint64_t question, Instant deadline) {
  // What has no worker yet, or no host, cannot be over sooner than a try that begins now.
  Instant next = share(deadline, hosts->size());
  for (auto& slot : slots) {
    std::size_t host = 0;
    Instant began;
    {
      Lock lock(slot.mutex);
      if (slot.question != question) continue;
      const Instant until = std::max(slot.until, slot.link.last_row() + (slot.until - slot.began));
      if (clock.now() < until) return until;
      host = slot.asked;
      began = slot.began;
      if (hosts->tries(host) < 2 || answered[host].load() >= began) {
        // No other host would be better for it.
        slot.until = deadline;
        return deadline;
      }
    }
    hosts->failed(host, began, late(host), true);
    return next;
  }
  return next;
}

void Pool::Workers::interrupt_host(std::size_t host) {
  for (auto& slot : slots) {
    Lock lock(slot.mutex);
    if (slot.question != 0 && slot.asked == host) slot.link.interrupt();
  }
}

void Pool::Workers::work(Slot& slot, const std::shared_ptr<Question>& question, const std::weak_ptr<Front>& front) {
  if (question->expired) return;
  auto failure = answer(slot, *question);
  loop.post([front, id = question->id, failure = std::move(failure)] {
    if (const auto alive = front.lock()) alive->finish(id, failure);
  });
}

// Each turn ends with an answer, or with news for Hosts, so that the next turn asks another host; once, it ends with
// the loss of a connection that may have been closed while it was idle.
std::optional<Failure> Pool::Workers::answer(Slot& slot, Question& question) {
  std::string last;
  bool second_chance = true;
  while (!question.expired) {
    const auto host = hosts->pick(slot.link.connected() ? std::optional(slot.host) : std::nullopt);
    if (!host) break;
    if (slot.host != *host) slot.link.close();
    const bool reused = slot.link.connected();
    const Instant began = clock.now();
    const Try trying(slot, question.id, *host, began, share(question.deadline, hosts->tries(*host)));
    bool connected = reused;
    try {
      if (!reused && !connect(slot, *host, question)) continue;
      connected = true;
      slot.link.use(question.run, question.expired);
      answered[*host] = clock.now();
      hosts->works(*host, began);
      return std::nullopt;
    } catch (const Error& error) {
      last = error.what();
      const bool no_write_host = writes && error.kind() == ErrorKind::ReadOnly;
      if (connected && error.kind() != ErrorKind::Lost && !no_write_host) return Failure{last};
      slot.link.close();
      if (question.expired) break;
      if (no_write_host) {
        hosts->read_only(*host, began, last);
      } else if (reused && std::exchange(second_chance, false)) {
        continue;
      } else {
        hosts->failed(*host, began, last);
      }
    } catch (const std::exception& error) {
      return Failure{error.what()};
    }
  }
  return Failure{last.empty() ? hosts->last_failure() : last, true};
}

// Throws Error. False: it turned out that another host is to be asked.
bool Pool::Workers::connect(Slot& slot, std::size_t host, const Question& question) {
  Options patience = options.copy();
  const Instant until = share(question.deadline, hosts->tries(host));
  patience.connect_timeout =
      std::min(patience.connect_timeout, std::chrono::ceil<std::chrono::milliseconds>(until - clock.now()));
  slot.link.open(patience, (*hosts)[host], question.expired);
  slot.host = host;
  std::string unsynced;
  if (hosts->size() > 1) {
    slot.link.use([&](Connection& connection) { unsynced = galera_state(connection).unsynced; }, question.expired);
  }
  hosts->connected(host, unsynced);
  if (hosts->pick(host) == host) return true;
  slot.link.close();
  return false;
}

}  // namespace vmail::mysql
