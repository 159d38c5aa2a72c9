#include "shared/mysql/pool.h"

#include <fmt/format.h>

#include <atomic>
#include <set>
#include <unordered_map>
#include <vector>

#include "shared/base/mutex.h"
#include "shared/mysql/hosts.h"
#include "shared/mysql/library.h"
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
  void expire();
  void finish(std::uint64_t id, const std::optional<Failure>& failure);
  void note(const char* name, const std::optional<Failure>& failure);

  Loop& loop;
  const Clock& clock;
  Workers* workers = nullptr;
  std::unordered_map<std::uint64_t, Pending> pending;
  std::set<std::pair<Instant, std::uint64_t>> deadlines;  // of what is pending, the first is what the timer waits for
  std::set<std::string> failing;                          // names of questions that fail though a host answers
  std::uint64_t next_id = 1;
  Counters counters;
  Timer timer;
};

struct Pool::Workers {
  // One per worker. The mutex is for the loop, which looks for the question to interrupt; what is not guarded belongs
  // to the worker alone.
  struct Slot {
    Mutex mutex;
    std::uint64_t question VMAIL_GUARDED_BY(mutex) = 0;
    Connection* running VMAIL_GUARDED_BY(mutex) = nullptr;
    std::size_t running_host VMAIL_GUARDED_BY(mutex) = 0;

    std::unique_ptr<Connection> connection;
    std::size_t host = 0;
  };

  Workers(Loop& its_loop, const Clock& its_clock, Options its_options, const Limits& limits)
      : loop(its_loop),
        clock(its_clock),
        options(std::move(its_options)),
        hosts(clock, options.hosts, options.user, limits.retry_after, limits.retry_after_max),
        slots(limits.threads) {}

  void work(Slot& slot, const std::shared_ptr<Question>& question, const std::weak_ptr<Front>& front);
  std::optional<Failure> answer(Slot& slot, Question& question);
  void connect(Slot& slot, const Question& question);
  void run(Slot& slot, Question& question);
  // Shuts down the socket on which this question waits, if it does. Returns the host that kept it waiting.
  std::optional<std::size_t> interrupt(std::uint64_t question);

  Loop& loop;
  const Clock& clock;
  const Options options;
  Hosts hosts;
  std::vector<Slot> slots;
  std::unique_ptr<WorkerPool> threads;
};

Pool::Pool(Loop& loop, const Clock& clock, Options options, Limits limits)
    : front_(std::make_shared<Front>(loop, clock)),
      workers_(std::make_unique<Workers>(loop, clock, std::move(options), limits)) {
  use_library();
  front_->workers = workers_.get();
  WorkerPool::Hooks hooks;
  hooks.started = [](std::size_t) { begin_thread(); };
  hooks.ended = [workers = workers_.get()](std::size_t worker) {
    workers->slots[worker].connection.reset();
    end_thread();
  };
  workers_->threads = std::make_unique<WorkerPool>("database", limits.threads, limits.queue, std::move(hooks));
}

Pool::~Pool() {
  stop();
}

const Pool::Counters& Pool::counters() const {
  return front_->counters;
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
  front.pending.emplace(question->id, Pending{name, deadline, question, std::move(done)});
  front.deadlines.emplace(deadline, question->id);

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
  front_->deadlines.clear();
  for (const auto& [id, waiting] : pending) {
    waiting.question->expired = true;
    workers_->interrupt(id);
  }
  threads->stop();
  const std::string reason = "the daemon is stopping";
  for (auto& entry : pending) entry.second.done(&reason);
}

void Pool::Front::arm() {
  if (deadlines.empty()) {
    timer.cancel();
    return;
  }
  timer.start(std::max(Duration::zero(), deadlines.begin()->first - clock.now()), [this] { expire(); });
}

void Pool::Front::expire() {
  const Instant now = clock.now();
  while (!deadlines.empty() && deadlines.begin()->first <= now) {
    const std::uint64_t id = deadlines.begin()->second;
    pending.at(id).question->expired = true;
    ++counters.orphaned;
    Failure failure{"the database did not answer in time", true};
    if (const auto host = workers->interrupt(id)) {
      failure.reason = fmt::format("database on {} did not answer in time", workers->hosts[*host].text());
      workers->hosts.failed(*host, failure.reason);
    } else if (const std::string last = workers->hosts.last_failure(); !last.empty()) {
      failure.reason += "; the last failure was: " + last;
    }
    finish(id, failure);
  }
  arm();
}

void Pool::Front::finish(std::uint64_t id, const std::optional<Failure>& failure) {
  assert(loop.on_loop());
  const auto found = pending.find(id);
  if (found == pending.end()) return;  // its deadline was first
  Pending waiting = std::move(found->second);
  deadlines.erase({waiting.deadline, id});
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

std::optional<std::size_t> Pool::Workers::interrupt(std::uint64_t question) {
  for (auto& slot : slots) {
    Lock lock(slot.mutex);
    if (slot.question != question || slot.running == nullptr) continue;
    slot.running->interrupt();
    return slot.running_host;
  }
  return std::nullopt;
}

void Pool::Workers::work(Slot& slot, const std::shared_ptr<Question>& question, const std::weak_ptr<Front>& front) {
  if (question->expired) return;
  auto failure = answer(slot, *question);
  loop.post([front, id = question->id, failure = std::move(failure)] {
    if (const auto alive = front.lock()) alive->finish(id, failure);
  });
}

std::optional<Failure> Pool::Workers::answer(Slot& slot, Question& question) {
  for (int attempt = 0;; ++attempt) {
    const bool reused = slot.connection != nullptr;
    bool connected = reused;
    try {
      if (!reused) connect(slot, question);
      connected = true;
      run(slot, question);
      hosts.works(slot.host);
      return std::nullopt;
    } catch (const Error& error) {
      if (!connected) return Failure{error.what(), true};
      if (error.kind() != ErrorKind::Lost) return Failure{error.what()};
      slot.connection.reset();
      if (question.expired) return Failure{error.what(), true};
      // A connection that was idle may have been closed by the server for that; a new one that breaks is a bad host.
      if (!reused) hosts.failed(slot.host, error.what());
      if (attempt > 0) return Failure{error.what(), true};
    } catch (const std::exception& error) {
      return Failure{error.what()};
    }
  }
}

void Pool::Workers::run(Slot& slot, Question& question) {
  {
    Lock lock(slot.mutex);
    slot.question = question.id;
    slot.running = slot.connection.get();
    slot.running_host = slot.host;
  }
  struct Leave {
    Slot& slot;
    ~Leave() {
      Lock lock(slot.mutex);
      slot.question = 0;
      slot.running = nullptr;
    }
  } const leave{slot};
  // Looked at only now: expired before the lock above means that nobody will interrupt this connection any more.
  if (!question.expired) question.run(*slot.connection);
}

// The hosts in turn, each with its share of the time that is left. Throws Error.
void Pool::Workers::connect(Slot& slot, const Question& question) {
  std::vector<bool> tried(hosts.size(), false);
  std::optional<Error> last;
  for (std::size_t left = hosts.size(); left > 0 && !question.expired; --left) {
    const auto host = hosts.pick(tried);
    if (!host) break;
    tried[*host] = true;
    Options patience = options.copy();
    const auto share = std::chrono::ceil<std::chrono::milliseconds>(question.deadline - clock.now()) / int(left);
    patience.connect_timeout = std::clamp(share, std::chrono::milliseconds(1), options.connect_timeout);
    try {
      slot.connection = Connection::open(patience, hosts[*host]);
      slot.host = *host;
      hosts.works(*host);
      return;
    } catch (const Error& error) {
      hosts.failed(*host, error.what());
      last = error;
    }
  }
  if (last) throw Error(*last);
  throw Error(ErrorKind::Lost, 0, hosts.last_failure());
}

}  // namespace vmail::mysql
