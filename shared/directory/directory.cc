#include "shared/directory/directory.h"

#include <unordered_map>
#include <utility>

#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/directory/cache.h"
#include "shared/directory/database.h"
#include "shared/directory/domain_sets.h"
#include "shared/directory/idn.h"
#include "shared/directory/resolver.h"
#include "shared/directory/sql_database.h"
#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

// What a permanent refusal rests on is no older than this when the question arrives.
constexpr Duration kFresh = std::chrono::seconds(1);
constexpr const char* kStopping = "the daemon is stopping";

Cache::Limits cache_limits(const config::Settings& settings) {
  return {static_cast<std::size_t>(settings.directory.cache_size.count), settings.directory.found_lifetime,
          settings.directory.not_found_lifetime};
}

Rules rules_of(const config::Settings& settings) {
  return {settings.addresses.recipient_delimiter, settings.addresses.propagate_extension};
}

DomainSets::Times times_of(const config::Settings& settings) {
  const Duration refresh = settings.directory.domains_refresh;
  return {settings.database.deadline, refresh, std::min<Duration>(settings.database.retry_after, refresh)};
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
        domains(std::make_shared<DomainSets>(loop, clock, *database, times_of(settings), [this] { cache.clear(); })),
        rules(rules_of(settings)),
        deadline(settings.database.deadline) {}

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
  std::unique_ptr<Database> database;
  Cache cache;
  std::shared_ptr<DomainSets> domains;
  Rules rules;
  Duration deadline;
  std::unordered_map<std::string, std::shared_ptr<Flight>, SeededHash> flights;  // by the first key of the ladder
  log::Throttle fault_log;
  bool stopped = false;
};

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
  if (stopped) return Outcome<T>::temp_fail(kStopping);
  if (domains->current() == nullptr) {
    wait(question, Instant::min());
    return std::nullopt;
  }
  const bool careful = question.freshness == Freshness::FreshForRefusal;
  const Instant fresh_since = question.arrival - kFresh;
  const Domains::Entry* entry = domains->current()->find(question.domain);
  if (entry == nullptr || entry->kind == DomainKind::Relay) {
    if (!careful || domains->read_since(fresh_since)) return Outcome<T>::not_found();
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
      if (entry->kind == DomainKind::Own || domains->read_since(fresh_since)) return resolution;
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
  domains->wait(arrival + deadline, read_since,
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
    } else if (careful && is_refusal(*resolution) && !ladder.target.empty() &&
               !self->domains->read_since(fresh_since)) {
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
  if (stopped) return Outcome<Credentials>::temp_fail(kStopping);
  const Instant fresh_since = arrival - kFresh;
  const Domains::Entry* entry =
      domains->current() == nullptr ? nullptr : domains->current()->find(a_label(address->domain));
  if (entry == nullptr || entry->kind != DomainKind::Own) {
    if (!domains->read_since(fresh_since)) {
      domains->wait(arrival + deadline, domains->current() == nullptr ? Instant::min() : fresh_since,
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
  state_->domains->load();
}

Directory::~Directory() {
  stop();
}

Answer<DomainKind> Directory::domain(std::string_view name, Later<DomainKind> later) {
  State& state = *state_;
  assert(state.loop.on_loop());
  if (state.stopped) return Outcome<DomainKind>::temp_fail(kStopping);
  if (name.empty() || name.size() > kMaxAddress || !is_utf8(name)) return Outcome<DomainKind>::not_found();
  const Domains* domains = state.domains->current();
  if (domains == nullptr) {
    auto resume = [this, name = std::string(name), later = std::move(later)](const std::string* failure) mutable {
      later(failure != nullptr ? Outcome<DomainKind>::temp_fail(*failure) : *domain(name, nullptr));
    };
    state.domains->wait(state.clock.now() + state.deadline, Instant::min(), std::move(resume));
    return std::nullopt;
  }
  const Domains::Entry* entry = domains->find(a_label(fold_case(name)));
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
  state.domains->load_anew();
}

void Directory::reload(const config::Settings& settings) {
  State& state = *state_;
  assert(state.loop.on_loop());
  state.rules = rules_of(settings);
  state.deadline = settings.database.deadline;
  state.cache.set_limits(cache_limits(settings));
  state.domains->set_times(times_of(settings));
  state.domains->load();
}

void Directory::stop() {
  State& state = *state_;
  assert(state.loop.on_loop());
  if (std::exchange(state.stopped, true)) return;
  state.database->stop();
  state.domains->stop(kStopping);
}

}  // namespace vmail::directory
