#include "shared/directory/directory.h"

#include <map>
#include <unordered_map>
#include <utility>

#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/directory/cache.h"
#include "shared/directory/database.h"
#include "shared/directory/domains.h"
#include "shared/directory/idn.h"
#include "shared/directory/resolver.h"
#include "shared/directory/sql_database.h"
#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

// What a permanent refusal rests on is no older than this when the question arrives.
constexpr Duration kFresh = std::chrono::seconds(1);
// Questions that may wait for the first load of the domains.
constexpr std::size_t kMaxWaiting = 10000;

Cache::Limits cache_limits(const config::Settings& settings) {
  return {static_cast<std::size_t>(settings.directory.cache_size.count), settings.directory.found_lifetime,
          settings.directory.not_found_lifetime};
}

Rules rules_of(const config::Settings& settings) {
  return {settings.addresses.recipient_delimiter, settings.addresses.propagate_extension};
}

std::unique_ptr<Database> open_database(Loop& loop, const Clock& clock, const config::Settings& settings,
                                        Options options) {
  mysql::Pool::Limits limits;
  limits.threads = settings.database.connections;
  limits.retry_after = settings.database.retry_after;
  limits.retry_after_max = settings.database.retry_after_max;
  return std::make_unique<SqlDatabase>(
      loop, clock,
      mysql::options_from(settings, std::move(options.database_user), std::move(options.database_password)), limits,
      Preset::built_in(settings.directory.preset));
}

// The cache as a resolver's source, which remembers how old the oldest row was that it gave.
class CachedRows final : public RowSource {
 public:
  explicit CachedRows(Cache& cache) : cache_(cache) {}
  const AddressRow* find(std::string_view key) override {
    const Cache::Entry* entry = cache_.find(key);
    if (entry == nullptr) return nullptr;
    oldest_ = std::min(oldest_, entry->read_at);
    return &entry->row;
  }
  Instant oldest() const { return oldest_; }

 private:
  Cache& cache_;
  Instant oldest_ = Instant::max();
};

// A question about an address, from its arrival to its answer.
template <class T>
struct Question {
  Address address;
  std::string domain;  // of the address, as key
  Freshness freshness;
  Instant arrival;
  Resolution<T> (*resolve)(const Ladder& ladder, const Rules& rules, RowSource& rows);
  Later<T> later;
};

template <class T>
bool is_refusal(const Outcome<T>& outcome) {
  return outcome.status() == Status::NotFound || outcome.status() == Status::Disabled;
}

}  // namespace

struct Directory::State : std::enable_shared_from_this<State> {
  // Goes on when the domains have been read, or with the reason why they have not.
  using Resume = MoveOnlyFunction<void(const std::string* failure)>;
  struct Waiter {
    Instant read_since;  // only a reading that began then or later counts
    Resume resume;
  };
  using Landing = MoveOnlyFunction<void(const Outcome<AddressRows>& rows, Instant began)>;
  struct Flight {
    Instant began;
    std::uint64_t generation;
    std::vector<Landing> waiters;
  };

  State(Loop& its_loop, const Clock& its_clock, const config::Settings& settings,
        std::unique_ptr<Database> its_database)
      : loop(its_loop),
        clock(its_clock),
        database(std::move(its_database)),
        cache(clock, cache_limits(settings)),
        refresh_timer(its_loop),
        waiting_timer(its_loop) {
    use(settings);
  }

  void use(const config::Settings& settings) {
    rules = rules_of(settings);
    deadline = settings.database.deadline;
    refresh = settings.directory.domains_refresh;
    retry = std::min<Duration>(settings.database.retry_after, refresh);
  }

  // The domains.
  void load();
  void loaded(Instant began, std::uint64_t request, Outcome<std::shared_ptr<const Domains>> outcome);
  void wait_for_domains(Instant arrival, Instant read_since, Resume resume);
  void arm_waiting();
  void resume_waiting(const std::string* failure, bool (*which)(const State&, Instant deadline, const Waiter&));
  bool domains_since(Instant instant) const { return domains && domains_read_at >= instant; }

  // Addresses.
  template <class T>
  Answer<T> ask(std::string_view key, Freshness freshness,
                Resolution<T> (*resolve)(const Ladder& ladder, const Rules& rules, RowSource& rows), Later<T> later);
  template <class T>
  Answer<T> go_on(Question<T>& question);
  template <class T>
  void resume(Question<T> question);
  template <class T>
  void wait(Question<T>& question, Instant read_since);
  template <class T>
  void fly(Question<T>& question, Ladder ladder);
  void landed(const std::string& key, const std::shared_ptr<Flight>& flight, const Outcome<AddressRows>& rows);

  Answer<Credentials> credentials(std::string_view login, Instant arrival, Later<Credentials>& later);

  Loop& loop;
  const Clock& clock;
  Rules rules;
  Duration deadline{};
  Duration refresh{};
  Duration retry{};
  std::unique_ptr<Database> database;
  Cache cache;

  std::shared_ptr<const Domains> domains;
  Instant domains_read_at{};
  bool loading = false;
  std::uint64_t requested = 0;  // flushes so far: a reading that began before the last is done again
  std::string load_failure;
  std::multimap<Instant, Waiter> waiting;  // by deadline
  Timer refresh_timer;
  Timer waiting_timer;

  std::unordered_map<std::string, std::shared_ptr<Flight>, SeededHash> flights;  // by the first key of the ladder
  log::Throttle fault_log;
  bool stopped = false;
};

// ---- The domains

void Directory::State::load() {
  if (loading || stopped) return;
  loading = true;
  refresh_timer.cancel();
  const Instant began = clock.now();
  database->domains(began + deadline, [weak = weak_from_this(), began, request = requested](auto outcome) {
    if (const auto self = weak.lock()) self->loaded(began, request, std::move(outcome));
  });
}

void Directory::State::loaded(Instant began, std::uint64_t request, Outcome<std::shared_ptr<const Domains>> outcome) {
  assert(loop.on_loop());
  loading = false;
  if (stopped) return;
  if (outcome.is_found()) {
    auto fresh = std::move(outcome).value();
    if (!domains) {
      log::info("domains-loaded count={} schema={}", fresh->size(), fresh->schema_version);
    } else if (domains->schema_version != fresh->schema_version) {
      log::info("schema-changed from={} to={}: all that is cached is read again", domains->schema_version,
                fresh->schema_version);
      cache.clear();
    }
    domains = std::move(fresh);
    domains_read_at = began;
    load_failure.clear();
  } else {
    load_failure = outcome.reason();
  }
  const bool again = request != requested;
  refresh_timer.start(again                  ? Duration::zero()
                      : load_failure.empty() ? refresh
                                             : retry,
                      [weak = weak_from_this()] {
                        if (const auto self = weak.lock()) self->load();
                      });

  if (load_failure.empty()) {
    resume_waiting(nullptr, [](const State& state, Instant, const Waiter& waiter) {
      return state.domains_since(waiter.read_since);
    });
    if (!waiting.empty()) load();
  } else if (domains) {
    // Those who need no more than the sets we have are not among them; without any, all wait for the next try.
    const std::string failure = load_failure;
    resume_waiting(&failure, [](const State&, Instant, const Waiter&) { return true; });
  }
}

void Directory::State::wait_for_domains(Instant arrival, Instant read_since, Resume resume) {
  if (waiting.size() >= kMaxWaiting) {
    loop.post([resume = std::move(resume)]() mutable {
      const std::string failure = "too many questions wait for the domains";
      resume(&failure);
    });
    return;
  }
  const auto place = waiting.emplace(arrival + deadline, Waiter{read_since, std::move(resume)});
  if (place == waiting.begin()) arm_waiting();
  // Without any sets the tries have their own rhythm.
  if (domains) load();
}

void Directory::State::arm_waiting() {
  if (waiting.empty()) {
    waiting_timer.cancel();
    return;
  }
  waiting_timer.start(std::max(Duration::zero(), waiting.begin()->first - clock.now()), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    const std::string failure = "the domains could not be read in time" +
                                (self->load_failure.empty() ? "" : "; the last failure was: " + self->load_failure);
    self->resume_waiting(&failure,
                         [](const State& state, Instant due, const Waiter&) { return due <= state.clock.now(); });
  });
}

void Directory::State::resume_waiting(const std::string* failure,
                                      bool (*which)(const State&, Instant deadline, const Waiter&)) {
  // Who is resumed may ask again and wait again: the table is in order before the first is called.
  std::vector<Resume> chosen;
  for (auto waiter = waiting.begin(); waiter != waiting.end();) {
    if (which(*this, waiter->first, waiter->second)) {
      chosen.push_back(std::move(waiter->second.resume));
      waiter = waiting.erase(waiter);
    } else {
      ++waiter;
    }
  }
  arm_waiting();
  for (auto& resume : chosen) resume(failure);
}

// ---- Addresses

template <class T>
Answer<T> Directory::State::ask(std::string_view key, Freshness freshness,
                                Resolution<T> (*resolve)(const Ladder& ladder, const Rules& rules, RowSource& rows),
                                Later<T> later) {
  assert(loop.on_loop());
  auto address = parse_address(key);
  if (!address) return Outcome<T>::not_found();
  Question<T> question{std::move(*address), "", freshness, clock.now(), resolve, std::move(later)};
  question.domain = a_label(question.address.domain);
  return go_on(question);
}

// The outcome, if memory has it; else the question is moved from, and comes back through resume().
template <class T>
Answer<T> Directory::State::go_on(Question<T>& question) {
  if (stopped) return Outcome<T>::temp_fail("the daemon is stopping");
  if (!domains) {
    wait(question, Instant::min());
    return std::nullopt;
  }
  const bool careful = question.freshness == Freshness::FreshForRefusal;
  const Instant fresh_since = question.arrival - kFresh;
  const Domains::Entry* entry = domains->find(question.domain);
  if (entry == nullptr || entry->kind == DomainKind::Relay) {
    if (!careful || domains_since(fresh_since)) return Outcome<T>::not_found();
    wait(question, fresh_since);
    return std::nullopt;
  }
  Ladder ladder = make_ladder(question.address, *entry, rules);
  CachedRows rows(cache);
  auto resolution = question.resolve(ladder, rules, rows);
  if (resolution) {
    if (!careful || !is_refusal(*resolution)) return resolution;
    if (rows.oldest() >= fresh_since) {
      // Whether it is an alias domain is part of the refusal.
      if (entry->kind == DomainKind::Own || domains_since(fresh_since)) return resolution;
      wait(question, fresh_since);
      return std::nullopt;
    }
  }
  fly(question, std::move(ladder));
  return std::nullopt;
}

template <class T>
void Directory::State::resume(Question<T> question) {
  if (clock.now() >= question.arrival + deadline) {
    question.later(Outcome<T>::temp_fail("the database did not answer in time"));
    return;
  }
  auto answer = go_on(question);
  if (answer) question.later(std::move(*answer));
}

template <class T>
void Directory::State::wait(Question<T>& question, Instant read_since) {
  const Instant arrival = question.arrival;
  wait_for_domains(arrival, read_since,
                   [weak = weak_from_this(), question = std::move(question)](const std::string* failure) mutable {
                     if (failure != nullptr) {
                       question.later(Outcome<T>::temp_fail(*failure));
                     } else if (const auto self = weak.lock()) {
                       self->resume(std::move(question));
                     }
                   });
}

// Joins the query for the same address that is under way, or begins one.
template <class T>
void Directory::State::fly(Question<T>& question, Ladder ladder) {
  const Instant now = clock.now();
  const Instant arrival = question.arrival;
  const bool careful = question.freshness == Freshness::FreshForRefusal;
  const std::string key = ladder.steps.front().key;
  std::vector<std::string> keys = ladder.keys();

  auto& place = flights[key];
  // What was asked before a flush, or too long ago for a refusal, is no answer to this one.
  const bool joins = place && place->generation == cache.generation() && (!careful || place->began >= arrival - kFresh);
  if (!joins) place = std::make_shared<Flight>(Flight{now, cache.generation(), {}});
  const auto flight = place;

  flight->waiters.push_back([weak = weak_from_this(), question = std::move(question), ladder = std::move(ladder)](
                                const Outcome<AddressRows>& rows, Instant began) mutable {
    if (!rows.is_found()) {
      question.later(Outcome<T>::without_value(rows));
      return;
    }
    const auto self = weak.lock();
    if (!self) return;
    ReadRows read(rows.value());
    auto resolution = question.resolve(ladder, self->rules, read);
    const Instant fresh_since = question.arrival - kFresh;
    const bool careful = question.freshness == Freshness::FreshForRefusal;
    if (!resolution || (careful && is_refusal(*resolution) && began < fresh_since)) {
      self->resume(std::move(question));  // the ladder has changed, or this flight took off too long ago
    } else if (careful && is_refusal(*resolution) && !ladder.target.empty() && !self->domains_since(fresh_since)) {
      self->wait(question, fresh_since);  // whether it is an alias domain is part of the refusal
    } else {
      question.later(std::move(*resolution));
    }
  });
  if (joins) return;
  database->addresses(std::move(keys), arrival + deadline, [weak = weak_from_this(), key, flight](auto rows) {
    if (const auto self = weak.lock()) self->landed(key, flight, rows);
  });
}

void Directory::State::landed(const std::string& key, const std::shared_ptr<Flight>& flight,
                              const Outcome<AddressRows>& rows) {
  assert(loop.on_loop());
  if (const auto found = flights.find(key); found != flights.end() && found->second == flight) flights.erase(found);
  if (rows.is_found()) {
    for (const auto& [row_key, row] : rows.value()) {
      std::size_t suppressed = 0;
      if (!row.fault.empty() && fault_log.allow(suppressed)) {
        log::error("bad-data suppressed={}: {}; its mail is deferred until that is mended", suppressed, row.fault);
      }
      cache.put(row_key, row, flight->began, flight->generation);
    }
  }
  for (auto& waiter : std::exchange(flight->waiters, {})) waiter(rows, flight->began);
}

// ---- Credentials

Answer<Credentials> Directory::State::credentials(std::string_view login, Instant arrival, Later<Credentials>& later) {
  const auto address = parse_address(login);
  if (!address) return Outcome<Credentials>::not_found();
  if (stopped) return Outcome<Credentials>::temp_fail("the daemon is stopping");
  const Instant fresh_since = arrival - kFresh;
  const Domains::Entry* entry = domains ? domains->find(a_label(address->domain)) : nullptr;
  if (entry == nullptr || entry->kind != DomainKind::Own) {
    if (!domains_since(fresh_since)) {
      wait_for_domains(arrival, domains ? fresh_since : Instant::min(),
                       [weak = weak_from_this(), login = std::string(login), arrival,
                        later = std::move(later)](const std::string* failure) mutable {
                         const auto self = weak.lock();
                         if (failure != nullptr) {
                           later(Outcome<Credentials>::temp_fail(*failure));
                         } else if (self) {
                           auto answer = self->credentials(login, arrival, later);
                           if (answer) later(std::move(*answer));
                         }
                       });
      return std::nullopt;
    }
    if (entry == nullptr || entry->kind == DomainKind::Relay) return Outcome<Credentials>::not_found();
  }
  Ladder ladder = make_login_ladder(*address, *entry);
  std::vector<std::string> keys = ladder.keys();
  database->credentials(std::move(keys), arrival + deadline,
                        [ladder = std::move(ladder), later = std::move(later)](Outcome<CredentialRows> rows) mutable {
                          if (!rows.is_found()) {
                            later(Outcome<Credentials>::without_value(rows));
                          } else {
                            later(resolve_credentials(ladder, std::move(rows).value()));
                          }
                        });
  return std::nullopt;
}

// ---- The class

Directory::Directory(Loop& loop, const Clock& clock, const config::Settings& settings, Options options)
    : Directory(loop, clock, settings, open_database(loop, clock, settings, std::move(options))) {}

Directory::Directory(Loop& loop, const Clock& clock, const config::Settings& settings,
                     std::unique_ptr<Database> database)
    : state_(std::make_shared<State>(loop, clock, settings, std::move(database))) {
  state_->load();
}

Directory::~Directory() {
  stop();
}

Answer<DomainKind> Directory::domain(std::string_view name, Later<DomainKind> later) {
  State& state = *state_;
  assert(state.loop.on_loop());
  if (state.stopped) return Outcome<DomainKind>::temp_fail("the daemon is stopping");
  if (name.empty() || name.size() > kMaxAddress || !is_utf8(name)) return Outcome<DomainKind>::not_found();
  if (!state.domains) {
    state.wait_for_domains(
        state.clock.now(), Instant::min(),
        [this, name = std::string(name), later = std::move(later)](const std::string* failure) mutable {
          if (failure != nullptr) {
            later(Outcome<DomainKind>::temp_fail(*failure));
          } else {
            later(*domain(name, nullptr));
          }
        });
    return std::nullopt;
  }
  const Domains::Entry* entry = state.domains->find(a_label(fold_case(name)));
  if (entry == nullptr) return Outcome<DomainKind>::not_found();
  return Outcome<DomainKind>::found(entry->kind);
}

Answer<Mailbox> Directory::mailbox(std::string_view address, Freshness freshness, Later<Mailbox> later) {
  return state_->ask<Mailbox>(
      address, freshness,
      [](const Ladder& ladder, const Rules&, RowSource& rows) { return resolve_mailbox(ladder, rows); },
      std::move(later));
}

Answer<std::vector<std::string>> Directory::aliases(std::string_view address, Later<std::vector<std::string>> later) {
  return state_->ask<std::vector<std::string>>(address, Freshness::Cached, resolve_aliases, std::move(later));
}

Answer<Credentials> Directory::credentials(std::string_view login, Later<Credentials> later) {
  assert(state_->loop.on_loop());
  return state_->credentials(login, state_->clock.now(), later);
}

void Directory::flush(const std::vector<std::string>& keys) {
  State& state = *state_;
  assert(state.loop.on_loop());
  if (keys.empty()) {
    state.cache.clear();
  } else {
    std::vector<std::string> wanted;
    for (const auto& key : keys) wanted.push_back(address_key(key));
    std::erase(wanted, "");
    state.cache.forget(wanted);
  }
  ++state.requested;
  state.load();
}

void Directory::reload(const config::Settings& settings) {
  State& state = *state_;
  assert(state.loop.on_loop());
  state.use(settings);
  state.cache.set_limits(cache_limits(settings));
  state.load();
}

void Directory::stop() {
  State& state = *state_;
  assert(state.loop.on_loop());
  if (std::exchange(state.stopped, true)) return;
  state.refresh_timer.cancel();
  state.database->stop();
  const std::string reason = "the daemon is stopping";
  state.resume_waiting(&reason, [](const State&, Instant, const State::Waiter&) { return true; });
}

}  // namespace vmail::directory
