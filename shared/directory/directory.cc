#include "shared/directory/directory.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/directory/breaker.h"
#include "shared/directory/database.h"
#include "shared/directory/domain_sets.h"
#include "shared/directory/flights.h"
#include "shared/directory/follower.h"
#include "shared/directory/guard.h"
#include "shared/directory/idn.h"
#include "shared/directory/preloader.h"
#include "shared/directory/refresher.h"
#include "shared/directory/resolver.h"
#include "shared/directory/row_store.h"
#include "shared/directory/snapshots.h"
#include "shared/directory/sql_database.h"
#include "shared/directory/stats.h"
#include "shared/directory/validity.h"
#include "shared/directory/watched_database.h"
#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

// What a permanent refusal rests on is no older than this when the question arrives.
constexpr Duration kFresh = std::chrono::seconds(1);
constexpr Duration kSweep = std::chrono::minutes(1);
constexpr std::size_t kRowsPerTurn = 1000;  // of a snapshot, between two turns of the loop
constexpr const char* kStopping = "the daemon is stopping";

Extensions extensions_of(const config::Settings& settings) {
  return {settings.addresses.recipient_delimiter, settings.addresses.propagate_extension};
}

DomainSets::Times domain_times(const config::Settings& settings) {
  const Duration refresh = settings.directory.domains_refresh;
  return {settings.database.deadline, refresh, std::min<Duration>(settings.database.retry_after, refresh),
          settings.directory.stale_domains};
}

// A poll may take its whole deadline and be followed by the next.
Duration feed_patience(const config::Settings& settings) {
  return settings.database.deadline + 2 * settings.directory.feed_interval + std::chrono::seconds(1);
}

Follower::Times feed_times(const config::Settings& settings) {
  return {settings.directory.feed_interval, settings.database.deadline, feed_patience(settings)};
}

Validity::Lifetimes lifetimes_of(const config::Settings& settings) {
  const auto& directory = settings.directory;
  return {directory.found_lifetime, directory.not_found_lifetime, directory.credentials_lifetime,
          directory.followed_lifetime, feed_patience(settings)};
}

Preloader::Settings preload_settings(const config::Settings& settings) {
  return {settings.directory.preload, static_cast<std::size_t>(settings.directory.preload_size.count),
          settings.directory.comparison_interval};
}

std::size_t cache_limit(const config::Settings& settings) {
  return static_cast<std::size_t>(settings.directory.cache_size.count);
}

std::unique_ptr<Database> open_database(Loop& loop, const Clock& clock, const config::Settings& settings,
                                        Options& options) {
  mysql::Pool::Limits limits;
  limits.threads = settings.database.connections;
  auto login = mysql::options_from(settings, std::move(options.database_user), std::move(options.database_password));
  auto hosts = std::make_shared<mysql::Hosts>(clock, login.hosts, login.user, mysql::rules_from(settings));
  return std::make_unique<SqlDatabase>(loop, clock, std::move(hosts), std::move(login), limits,
                                       Preset::built_in(settings.directory.preset));
}

// What the three questions about an address differ in.
template <class T>
struct Asked;
template <>
struct Asked<Mailbox> {
  using Row = AddressRow;
  static constexpr auto resolve = resolve_mailbox;
};
template <>
struct Asked<AddressList> {
  using Row = AddressRow;
  static constexpr auto resolve = resolve_aliases;
};
template <>
struct Asked<Credentials> {
  using Row = CredentialRow;
  static constexpr auto resolve = resolve_credentials;
};
template <class T>
constexpr bool kIsLogin = std::is_same_v<T, Credentials>;

template <class T>
bool is_refusal(const Outcome<T>& outcome) {
  return outcome.status() == Status::NotFound || outcome.status() == Status::Disabled;
}

// May this answer come from no older row than kFresh?
template <class T>
bool must_be_fresh(Freshness freshness, const Outcome<T>& outcome) {
  if (is_refusal(outcome)) return kIsLogin<T> || freshness == Freshness::FreshForRefusal;
  return kIsLogin<T> && freshness == Freshness::FreshForRefusal && outcome.is_found();
}

// A question about an address, from its arrival to its answer.
template <class T>
struct Question {
  Address address;
  std::string domain;  // of the address, as key
  Freshness freshness;
  Instant arrival;
  Later<T> later;
};

}  // namespace

struct Directory::State : std::enable_shared_from_this<State> {
  State(Loop& its_loop, const Clock& its_clock, const config::Settings& its_settings,
        std::unique_ptr<Database> its_database, const std::string& state_folder);
  void start();

  enum class Need : unsigned char { Nothing, Domains, Rows };

  template <class T>
  Recalled<T> recall(std::string_view key, Instant now);
  template <class T>
  Answer<T> ask(std::string_view key, Freshness freshness, Later<T> later);
  template <class T>
  Need look(const Address& address, const std::string& domain, Freshness freshness, Instant arrival, Instant now);
  template <class T>
  bool look_stale(const Ladder& its_ladder, Freshness freshness);
  template <class T>
  void resume(Question<T> question);
  template <class T>
  void suspend(Question<T> question, Need need);
  template <class T>
  void wait(Question<T> question, Instant read_since);
  template <class T>
  void fly(Question<T> question);
  template <class T>
  void arrive(Question<T>& question, const Ladder& its_ladder,
              const Outcome<std::unordered_map<std::string, typename Asked<T>::Row>>& rows, Instant began);
  template <class Row>
  std::shared_ptr<Flights<Row>> make_flights();
  bool query_failed(const std::string& key, Instant began, const std::string& reason);
  template <class T>
  void answer(Question<T>& question, Outcome<T> outcome);
  template <class T>
  void count(const Outcome<T>& outcome);

  void put(const std::string& key, const AddressRow& row, Instant read_at, bool known);
  void put(const std::string& key, const CredentialRow& row, Instant read_at, bool known);
  void database_answers();
  void database_fails(const std::string& reason);
  bool host_answers() const;
  void probe();
  void changed(const std::vector<Change>& changes, Instant began);
  void refresh_logins(std::vector<std::string> keys);
  void doubt_everything();
  void sweep();

  bool any_row_overtaken() const;
  std::unique_ptr<Snapshot> begin_snapshot() const;
  void add_to_snapshot(Snapshot& snapshot, const Cache<AddressRow>::Entry& entry) const;
  void gather(std::shared_ptr<Snapshot> snapshot, std::size_t bucket, MoveOnlyFunction<void(Snapshot)> done);
  void restore();
  WallTime wall(Instant instant) const {
    return clock.wall() - std::chrono::duration_cast<WallTime::duration>(clock.now() - instant);
  }
  Instant instant(WallTime time) const {
    const auto age = std::max(WallTime::duration::zero(), clock.wall() - time);
    return clock.now() - std::chrono::duration_cast<Duration>(age);
  }

  template <class Row>
  auto& store() {
    if constexpr (std::is_same_v<Row, AddressRow>)
      return rows;
    else
      return credentials;
  }
  template <class Row>
  auto& flights() {
    if constexpr (std::is_same_v<Row, AddressRow>)
      return *address_flights;
    else
      return *credential_flights;
  }
  StaleBounds bounds(const AddressRow*) const {
    return {settings.directory.stale_known, settings.directory.stale_unknown};
  }
  StaleBounds bounds(const CredentialRow*) const { return {settings.directory.stale_credentials, Duration::zero()}; }

  Loop& loop;
  const Clock& clock;
  config::Settings settings;
  std::unique_ptr<WatchedDatabase> database;
  Guard domains_guard;
  Guard rows_guard;
  Validity validity;
  RowStore rows;
  Cache<CredentialRow> credentials;
  std::shared_ptr<Snapshots> snapshots;
  std::shared_ptr<DomainSets> domains;
  std::shared_ptr<Follower> follower;
  std::shared_ptr<Preloader> preloader;
  std::shared_ptr<Refresher> refresher;
  Extensions extensions;
  std::shared_ptr<Flights<AddressRow>> address_flights;
  std::shared_ptr<Flights<CredentialRow>> credential_flights;

  Breaker breaker;
  std::vector<std::string> probe_keys;  // what could not be asked
  Timer probe_timer;
  Timer sweep_timer;
  Instant followed_since = Instant::max();
  std::string last_failure;
  bool answering = false;  // the last question was answered
  WallTime answering_since;
  bool stale_serving = false;
  WallTime stale_since{};
  std::uint64_t stale_in_outage = 0;
  Stats::Answers answers;
  log::Throttle fault_log;
  bool stopped = false;

  // Used again and again, so that an answer from memory allocates nothing.
  Address address;
  std::string domain_key;
  Ladder ladder;
  Instant needed_since{};
  std::tuple<Outcome<DomainKind>, Outcome<Mailbox>, Outcome<AddressList>, Outcome<Credentials>> scratch{
      Outcome<DomainKind>::not_found(), Outcome<Mailbox>::not_found(), Outcome<AddressList>::not_found(),
      Outcome<Credentials>::not_found()};
  template <class T>
  Outcome<T>& out() {
    return std::get<Outcome<T>>(scratch);
  }
};

// ---- Construction

Directory::State::State(Loop& its_loop, const Clock& its_clock, const config::Settings& its_settings,
                        std::unique_ptr<Database> its_database, const std::string& state_folder)
    : loop(its_loop),
      clock(its_clock),
      settings(its_settings),
      database(std::make_unique<WatchedDatabase>(std::move(its_database))),
      domains_guard(clock, settings.directory.max_loss),
      rows_guard(clock, settings.directory.max_loss),
      validity(lifetimes_of(settings)),
      rows(cache_limit(settings)),
      credentials(cache_limit(settings) / 4),
      snapshots(std::make_shared<Snapshots>(loop, clock, state_folder)),
      extensions(extensions_of(settings)),
      probe_timer(loop),
      sweep_timer(loop),
      answering_since(clock.wall()) {}

void Directory::State::start() {
  const auto weak = weak_from_this();
  database->watch([weak](const std::string* reason) {
    const auto self = weak.lock();
    if (!self || self->stopped) return;
    if (reason == nullptr) {
      self->database_answers();
    } else {
      self->database_fails(*reason);
    }
  });
  domains = std::make_shared<DomainSets>(loop, clock, *database, domains_guard, domain_times(settings), [weak] {
    if (const auto self = weak.lock()) self->doubt_everything();
  });
  Follower::Events events;
  events.changed = [weak](const std::vector<Change>& changes, Instant began) {
    if (const auto self = weak.lock()) self->changed(changes, began);
  };
  events.doubt = [weak] {
    if (const auto self = weak.lock()) self->doubt_everything();
  };
  follower = std::make_shared<Follower>(loop, clock, *database, feed_times(settings), std::move(events));
  preloader = std::make_shared<Preloader>(
      loop, clock, *database, rows, rows_guard, preload_settings(settings),
      [keeper = snapshots](std::shared_ptr<const RowSet> set) { keeper->dispose(std::move(set)); });
  refresher =
      std::make_shared<Refresher>(loop, clock, *database, rows, validity,
                                  Refresher::Times{settings.database.deadline, settings.directory.comparison_interval},
                                  [weak](const std::string& key, const AddressRow& row, Instant read_at, bool known) {
                                    if (const auto self = weak.lock()) self->put(key, row, read_at, known);
                                  });

  FeedPosition position;
  if (auto snapshot = snapshots->read(settings.database.name, settings.directory.preset,
                                      static_cast<std::size_t>(settings.directory.preload_size.count))) {
    domains->restore(std::move(snapshot->domains), instant(snapshot->domains_read_at));
    for (const auto& row : snapshot->rows)
      rows.cache().put(row.key, row.row, instant(row.read_at), row.of_known_address);
    if (snapshot->set) preloader->restore(std::move(snapshot->set), instant(snapshot->set_read_at));
    if (!snapshot->feed.identity.empty()) followed_since = instant(snapshot->followed_since);
    position = std::move(snapshot->feed);
    log::info("snapshot-read domains={} rows={} preloaded={}", domains->last() ? domains->last()->size() : 0,
              rows.cache().size(), rows.preloaded() ? rows.preloaded()->size() : 0);
  }
  address_flights = make_flights<AddressRow>();
  credential_flights = make_flights<CredentialRow>();
  domains->load();
  if (settings.directory.feed) follower->start(std::move(position));
  refresher->start([weak] {
    const auto self = weak.lock();
    return self && self->breaker.closed() && self->validity.is_followed(self->clock.now());
  });
  snapshots->start([weak](MoveOnlyFunction<void(Snapshot)> done) {
    if (const auto self = weak.lock()) self->gather(self->begin_snapshot(), 0, std::move(done));
  });
  sweep();
}

// ---- Answers from memory

template <class T>
void Directory::State::count(const Outcome<T>& outcome) {
  if (outcome.is_temp_fail()) {
    ++answers.failed;
  } else if (outcome.source() == Source::Memory) {
    ++answers.memory;
  } else if (outcome.source() == Source::Stale) {
    ++answers.stale;
  } else {
    ++answers.database;
  }
}

// The outcome is in out<T>(), if memory has it; else what must come first: the domains, as they were at needed_since or
// later, or the rows of `ladder`.
template <class T>
Directory::State::Need Directory::State::look(const Address& its_address, const std::string& domain,
                                              Freshness freshness, Instant arrival, Instant now) {
  Outcome<T>& outcome = out<T>();
  outcome.set_source(Source::Memory);
  const auto fail = [&](std::string_view reason) {
    outcome.fail(reason);
    return Need::Nothing;
  };
  if (stopped) return fail(kStopping);
  const Instant fresh_since = arrival - kFresh;
  const auto need_domains = [&](Instant since) {
    needed_since = since;
    return breaker.closed() ? Need::Domains : fail(breaker.reason());
  };
  const Domains* sets = domains->current(now);
  if (sets == nullptr) return need_domains(Instant::min());
  const Domains::Entry* entry = sets->find(domain);
  if (entry == nullptr || entry->kind == DomainKind::Relay) {
    outcome.become(Status::NotFound);
    return must_be_fresh(freshness, outcome) && !domains->read_since(fresh_since) ? need_domains(fresh_since)
                                                                                  : Need::Nothing;
  }
  if constexpr (kIsLogin<T>) {
    make_login_ladder(its_address, domain, *entry, ladder);
  } else {
    make_ladder(its_address, domain, *entry, extensions, ladder);
  }
  using Row = typename Asked<T>::Row;
  CurrentRows<Row, std::remove_reference_t<decltype(store<Row>())>> current(store<Row>(), validity, now);
  if (Asked<T>::resolve(ladder, extensions, current, outcome)) {
    if (!must_be_fresh(freshness, outcome)) return Need::Nothing;
    if (current.oldest() >= fresh_since) {
      // Whether it is an alias domain is part of a refusal.
      const bool of_alias = is_refusal(outcome) && entry->kind == DomainKind::Alias;
      return of_alias && !domains->read_since(fresh_since) ? need_domains(fresh_since) : Need::Nothing;
    }
  }
  if (breaker.closed()) return Need::Rows;
  if (!look_stale<T>(ladder, freshness)) fail(breaker.reason());
  return Need::Nothing;
}

// What is past its lifetime, into out<T>(), if its bounds let it be served.
template <class T>
bool Directory::State::look_stale(const Ladder& its_ladder, Freshness freshness) {
  using Row = typename Asked<T>::Row;
  Outcome<T>& outcome = out<T>();
  StaleRows<Row, std::remove_reference_t<decltype(store<Row>())>> stale(store<Row>(), validity);
  if (!Asked<T>::resolve(its_ladder, extensions, stale, outcome)) return false;
  if (outcome.is_temp_fail() || must_be_fresh(freshness, outcome)) return false;
  if (!stale.within(bounds(static_cast<const Row*>(nullptr)), clock.now())) return false;
  outcome.set_source(Source::Stale);
  if (!std::exchange(stale_serving, true)) {
    stale_since = clock.wall();
    stale_in_outage = 0;
    log::warning("stale-answers-begin: the database cannot be asked ({}); what was known before is served",
                 last_failure);
  }
  ++stale_in_outage;
  return true;
}

template <class T>
Recalled<T> Directory::State::recall(std::string_view key, Instant now) {
  assert(loop.on_loop());
  if (!parse_address(key, address)) {
    out<T>().become(Status::NotFound);
    out<T>().set_source(Source::Memory);
  } else {
    a_label(address.domain, domain_key);
    if (look<T>(address, domain_key, Freshness::Cached, now, now) != Need::Nothing) return nullptr;
  }
  count(out<T>());
  return &out<T>();
}

// ---- Questions that must wait

template <class T>
Answer<T> Directory::State::ask(std::string_view key, Freshness freshness, Later<T> later) {
  assert(loop.on_loop());
  Need need = Need::Nothing;
  const Instant arrival = clock.now();
  if (!parse_address(key, address)) {
    out<T>() = Outcome<T>::not_found();
    out<T>().set_source(Source::Memory);
  } else {
    a_label(address.domain, domain_key);
    need = look<T>(address, domain_key, freshness, arrival, arrival);
  }
  if (need == Need::Nothing) {
    count(out<T>());
    return std::move(out<T>());
  }
  suspend(Question<T>{address, domain_key, freshness, arrival, std::move(later)}, need);
  return std::nullopt;
}

template <class T>
void Directory::State::answer(Question<T>& question, Outcome<T> outcome) {
  count(outcome);
  question.later(std::move(outcome));
}

template <class T>
void Directory::State::suspend(Question<T> question, Need need) {
  if (need == Need::Domains) {
    wait(std::move(question), needed_since);
  } else {
    fly(std::move(question));
  }
}

template <class T>
void Directory::State::resume(Question<T> question) {
  const Instant now = clock.now();
  if (now >= question.arrival + settings.database.deadline) {
    return answer(question, Outcome<T>::temp_fail("the database did not answer in time"));
  }
  const Need need = look<T>(question.address, question.domain, question.freshness, question.arrival, now);
  if (need != Need::Nothing) return suspend(std::move(question), need);
  answer(question, std::move(out<T>()));
}

template <class T>
void Directory::State::wait(Question<T> question, Instant read_since) {
  const Instant deadline = question.arrival + settings.database.deadline;
  domains->wait(deadline, read_since,
                [weak = weak_from_this(), question = std::move(question)](const std::string* failure) mutable {
                  const auto self = weak.lock();
                  if (!self) return question.later(Outcome<T>::temp_fail(kStopping));
                  if (failure != nullptr) return self->answer(question, Outcome<T>::temp_fail(*failure));
                  self->resume(std::move(question));
                });
}

// Joins the query for the same address that is under way, or begins one for all rows of `ladder`.
template <class T>
void Directory::State::fly(Question<T> question) {
  using Row = typename Asked<T>::Row;
  const Instant arrival = question.arrival;
  const std::string key(ladder.key(ladder.step(0)));
  // What was asked before a change, or too long ago for a refusal, is no answer to this one.
  const bool careful = kIsLogin<T> || question.freshness == Freshness::FreshForRefusal;
  const auto joins = [&](Instant began) {
    return !validity.doubted(key, began) && (!careful || began >= arrival - kFresh);
  };
  flights<Row>().join(
      key, joins, [&] { return kIsLogin<T> ? ladder.step_keys() : ladder.keys(); },
      arrival + settings.database.deadline,
      [weak = weak_from_this(), question = std::move(question), its_ladder = ladder](const auto& read,
                                                                                     Instant began) mutable {
        const auto self = weak.lock();
        if (!self) return question.later(Outcome<T>::temp_fail(kStopping));
        self->arrive(question, its_ladder, read, began);
      });
}

template <class Row>
std::shared_ptr<Flights<Row>> Directory::State::make_flights() {
  typename Flights<Row>::Tower tower;
  tower.ask = [this](auto keys, Instant deadline, auto done) {
    if constexpr (std::is_same_v<Row, CredentialRow>)
      database->credentials(std::move(keys), deadline, std::move(done));
    else
      database->addresses(std::move(keys), deadline, std::move(done));
  };
  tower.read = [this](auto& read) {
    for (auto& [key, row] : read) {
      if constexpr (std::is_same_v<Row, AddressRow>) preloader->check(key, row);
      std::size_t suppressed = 0;
      if (!row.fault.empty() && fault_log.allow(suppressed)) {
        log::error("bad-data suppressed={}: {}; its mail is deferred until that is mended", suppressed, row.fault);
      }
    }
  };
  tower.keep = [this](const auto& keys, const auto& read, Instant began) {
    const auto is_there = [&](const std::string& key) { return is_known(read.at(key)); };
    const bool known = std::any_of(keys.begin(), keys.end(), is_there);
    for (const auto& key : keys) put(key, read.at(key), began, known);
  };
  tower.failed = [this](const std::string& key, Instant began, const std::string& reason) {
    return query_failed(key, began, reason);
  };
  return std::make_shared<Flights<Row>>(loop, clock, settings.database.connections, std::move(tower));
}

bool Directory::State::query_failed(const std::string& key, Instant began, const std::string& reason) {
  if (!stopped && !host_answers() && breaker.failed(began, reason)) {
    probe_keys = {key};
    probe_timer.start(settings.database.retry_after, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->probe();
    });
  }
  return !breaker.closed();
}

template <class T>
void Directory::State::arrive(Question<T>& question, const Ladder& its_ladder,
                              const Outcome<std::unordered_map<std::string, typename Asked<T>::Row>>& read,
                              Instant began) {
  if (!read.is_found()) {
    if (!stopped && look_stale<T>(its_ladder, question.freshness)) return answer(question, std::move(out<T>()));
    return answer(question, Outcome<T>::without_value(read));
  }
  ReadRows<typename Asked<T>::Row> source(read.value());
  Outcome<T> outcome = Outcome<T>::not_found();
  const Instant fresh_since = question.arrival - kFresh;
  if (!Asked<T>::resolve(its_ladder, extensions, source, outcome) ||
      (must_be_fresh(question.freshness, outcome) && began < fresh_since)) {
    resume(std::move(question));  // the ladder has changed, or this flight took off too long ago
  } else if (must_be_fresh(question.freshness, outcome) && is_refusal(outcome) && !its_ladder.target.empty() &&
             !domains->read_since(fresh_since)) {
    wait(std::move(question), fresh_since);  // whether it is an alias domain is part of the refusal
  } else {
    answer(question, std::move(outcome));
  }
}

// ---- What is kept

void Directory::State::put(const std::string& key, const AddressRow& row, Instant read_at, bool known) {
  AddressRow believed = row;
  preloader->check(key, believed);
  rows.cache().put(key, std::move(believed), read_at, known);
}

void Directory::State::put(const std::string& key, const CredentialRow& row, Instant read_at, bool known) {
  if (!validity.doubted(key, read_at)) credentials.put(key, row.copy(), read_at, known);
}

void Directory::State::changed(const std::vector<Change>& changes, Instant began) {
  const Instant now = clock.now();
  std::vector<std::string> again, logins;
  bool domains_changed = false;
  for (const auto& change : changes) {
    if (change.kind == Change::Kind::Domain) {
      validity.doubt_domain(change.key, now);
      domains_changed = true;
      continue;
    }
    validity.doubt(change.key, now);
    // An old hash is no stale hash: it opens what its owner has closed.
    if (credentials.peek(change.key) != nullptr) logins.push_back(change.key);
    credentials.forget(change.key);
    if (rows.preloaded() || rows.cache().peek(change.key) != nullptr) again.push_back(change.key);
  }
  if (followed_since == Instant::max()) followed_since = now;
  validity.follow(followed_since, began);
  preloader->followed(true);
  refresher->refresh(std::move(again));
  if (!logins.empty()) refresh_logins(std::move(logins));
  if (domains_changed) {
    domains->load_anew();
    preloader->reload();
  }
}

// So that a user who has just changed the password can log in should the database go away now.
void Directory::State::refresh_logins(std::vector<std::string> keys) {
  const Instant began = clock.now();
  database->credentials(std::move(keys), began + settings.database.deadline,
                        [weak = weak_from_this(), began](const Outcome<CredentialRows>& read) {
                          const auto self = weak.lock();
                          if (!self || self->stopped || !read.is_found()) return;
                          for (const auto& [key, row] : read.value()) self->put(key, row, began, row.exists);
                        });
}

void Directory::State::doubt_everything() {
  const Instant now = clock.now();
  validity.doubt_all(now);
  validity.unfollow();
  followed_since = now;
  domains->load_anew();
  if (follower->state() == Follower::State::Unavailable) {
    preloader->followed(false);
  } else {
    preloader->reload();
  }
}

// Marks of changed keys go when no older row can be served by mistake any more.
void Directory::State::sweep() {
  const Instant now = clock.now();
  validity.sweep(now - kSweep, [this](std::string_view key, Instant marked) {
    if (rows.preloaded() && rows.preloaded_at() <= marked) return true;
    const auto* entry = rows.cache().peek(key);
    return entry != nullptr && entry->read_at <= marked;
  });
  const Instant oldest = now - validity.longest();
  if (!rows.preloaded() || rows.preloaded_at() > oldest) validity.sweep_domains(oldest);
  sweep_timer.start(kSweep, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->sweep();
  });
}

// ---- The database comes and goes

void Directory::State::database_answers() {
  if (!std::exchange(answering, true)) answering_since = clock.wall();
  if (breaker.succeeded(clock.now())) {
    probe_timer.cancel();
    domains->load_anew();
  }
  if (std::exchange(stale_serving, false)) {
    log::warning("stale-answers-end answers={} seconds={}: the database answers again", stale_in_outage,
                 std::chrono::duration_cast<std::chrono::seconds>(clock.wall() - stale_since).count());
  }
}

void Directory::State::database_fails(const std::string& reason) {
  last_failure = reason;
  if (std::exchange(answering, false)) answering_since = clock.wall();
}

// A question that a working host refuses (a missing table, a grant) says nothing about the others.
bool Directory::State::host_answers() const {
  DatabaseStats asked;
  database->describe(asked);
  return asked.answers;
}

void Directory::State::probe() {
  if (stopped || breaker.closed()) return;
  breaker.probing();
  const Instant began = clock.now();
  database->addresses(probe_keys, began + settings.database.deadline, [weak = weak_from_this(), began](auto read) {
    const auto self = weak.lock();
    if (!self || self->stopped || self->breaker.closed()) return;
    self->breaker.failed(began, read.reason());
    self->probe_timer.start(self->settings.database.retry_after, [weak] {
      if (const auto alive = weak.lock()) alive->probe();
    });
  });
}

// ---- Snapshots

// Is a row of the preloaded set out of date, and has not been read again?
bool Directory::State::any_row_overtaken() const {
  return validity.any_mark(rows.preloaded_at(), [this](std::string_view key, Instant marked) {
    const auto* entry = rows.cache().peek(key);
    return entry == nullptr || entry->read_at <= marked;
  });
}

std::unique_ptr<Snapshot> Directory::State::begin_snapshot() const {
  auto snapshot = std::make_unique<Snapshot>();
  snapshot->database = settings.database.name;
  snapshot->preset = settings.directory.preset;
  snapshot->domains = domains->last();
  if (snapshot->domains) snapshot->schema_version = snapshot->domains->schema_version;
  snapshot->domains_read_at = wall(domains->read_at());
  // With marks on the set it could not be told, after a restart, which of its rows the feed has overtaken.
  const bool marked = rows.preloaded() && any_row_overtaken();
  if (follower->state() == Follower::State::Followed && followed_since != Instant::max() && !marked) {
    snapshot->feed = follower->position();
    snapshot->followed_since = wall(followed_since);
  }
  snapshot->set = rows.preloaded();
  snapshot->set_read_at = wall(rows.preloaded_at());
  return snapshot;
}

void Directory::State::add_to_snapshot(Snapshot& snapshot, const Cache<AddressRow>::Entry& entry) const {
  if (snapshot.set && entry.read_at < rows.preloaded_at()) return;
  // A row that is known to be out of date must not come back as a good one.
  const bool doubted = validity.doubted(entry.key, entry.read_at);
  const Instant read_at = doubted ? std::min(entry.read_at, clock.now() - validity.longest()) : entry.read_at;
  snapshot.rows.push_back({entry.key, entry.row, wall(read_at), entry.known});
}

void Directory::State::gather(std::shared_ptr<Snapshot> snapshot, std::size_t bucket,
                              MoveOnlyFunction<void(Snapshot)> done) {
  bucket = rows.cache().walk(bucket, kRowsPerTurn, [&](const auto& entry) { add_to_snapshot(*snapshot, entry); });
  if (bucket == 0) return done(std::move(*snapshot));
  loop.post([weak = weak_from_this(), snapshot, bucket, done = std::move(done)]() mutable {
    if (const auto self = weak.lock()) self->gather(std::move(snapshot), bucket, std::move(done));
  });
}

// ---- The class

Directory::Directory(Loop& loop, const Clock& clock, const config::Settings& settings, Options options)
    : Directory(loop, clock, settings, open_database(loop, clock, settings, options), options.state_folder) {}

Directory::Directory(Loop& loop, const Clock& clock, const config::Settings& settings,
                     std::unique_ptr<Database> database, const std::string& state_folder)
    : state_(std::make_shared<State>(loop, clock, settings, std::move(database), state_folder)) {
  state_->start();
}

Directory::~Directory() {
  stop();
}

Recalled<DomainKind> Directory::recall_domain(std::string_view name, Instant now) {
  State& state = *state_;
  assert(state.loop.on_loop());
  auto& outcome = state.out<DomainKind>();
  outcome.set_source(Source::Memory);
  const Domains* domains = state.domains->current(now);
  if (state.stopped) {
    outcome.fail(kStopping);
  } else if (name.empty() || name.size() > kMaxAddress || !is_utf8(name)) {
    outcome.become(Status::NotFound);
  } else if (domains == nullptr) {
    if (state.breaker.closed()) return nullptr;
    outcome.fail(state.breaker.reason());
  } else {
    fold_case(name, state.address.domain);
    a_label(state.address.domain, state.domain_key);
    const Domains::Entry* entry = domains->find(state.domain_key);
    if (entry == nullptr) {
      outcome.become(Status::NotFound);
    } else {
      outcome.find_again() = entry->kind;
    }
  }
  state.count(outcome);
  return &outcome;
}

Answer<DomainKind> Directory::domain(std::string_view name, Later<DomainKind> later) {
  State& state = *state_;
  if (const auto known = recall_domain(name, state.clock.now())) return *known;
  auto resume = [weak = state.weak_from_this(), this, name = std::string(name),
                 later = std::move(later)](const std::string* failure) mutable {
    const bool gone = weak.expired();
    if (gone || failure != nullptr) {
      later(Outcome<DomainKind>::temp_fail(gone ? kStopping : *failure));
    } else if (const auto known = recall_domain(name, state_->clock.now())) {
      later(*known);
    }
  };
  state.domains->wait(state.clock.now() + state.settings.database.deadline, Instant::min(), std::move(resume));
  return std::nullopt;
}

Recalled<Mailbox> Directory::recall_mailbox(std::string_view address, Instant now) {
  return state_->recall<Mailbox>(address, now);
}

Recalled<AddressList> Directory::recall_aliases(std::string_view address, Instant now) {
  return state_->recall<AddressList>(address, now);
}

Answer<Mailbox> Directory::mailbox(std::string_view address, Freshness freshness, Later<Mailbox> later) {
  return state_->ask<Mailbox>(address, freshness, std::move(later));
}

Answer<AddressList> Directory::aliases(std::string_view address, Later<AddressList> later) {
  return state_->ask<AddressList>(address, Freshness::Cached, std::move(later));
}

Answer<Credentials> Directory::credentials(std::string_view login, Freshness freshness, Later<Credentials> later) {
  return state_->ask<Credentials>(login, freshness, std::move(later));
}

void Directory::flush(const std::vector<std::string>& keys) {
  State& state = *state_;
  assert(state.loop.on_loop());
  const Instant now = state.clock.now();
  if (keys.empty()) state.validity.doubt_all(now);
  bool many = keys.empty();
  for (const auto& key : keys) {
    const std::string wanted = address_key(key);
    if (wanted.starts_with('@')) {
      state.validity.doubt_domain(wanted.substr(1), now);
      many = true;
    } else if (!wanted.empty()) {
      state.validity.doubt(wanted, now);
    }
  }
  state.domains->load_anew();
  if (many) state.preloader->reload();
}

bool Directory::confirm() {
  State& state = *state_;
  assert(state.loop.on_loop());
  const bool domains = state.domains_guard.confirm();
  const bool rows = state.rows_guard.confirm();
  if (domains) state.domains->load_anew();
  if (rows) {
    state.validity.doubt_all(state.clock.now());
    state.preloader->reload();
  }
  return domains || rows;
}

Shown Directory::show(std::string_view address) {
  State& state = *state_;
  assert(state.loop.on_loop());
  Shown shown;
  const Domains* domains = state.domains->current(state.clock.now());
  const auto parsed = parse_address(address);
  const std::string domain = a_label(parsed ? parsed->domain : fold_case(address.substr(address.rfind('@') + 1)));
  const Domains::Entry* entry = domains == nullptr ? nullptr : domains->find(domain);
  if (entry != nullptr) shown.domain = entry->kind;
  if (!parsed || entry == nullptr || entry->kind == DomainKind::Relay) return shown;
  Ladder ladder;
  make_ladder(*parsed, domain, *entry, state.extensions, ladder);
  for (const auto& key : ladder.keys()) {
    const RowStore::Known known = state.rows.find(key);
    Shown::Row& row = shown.rows.emplace_back();
    row.key = key;
    row.known = known.row != nullptr;
    if (!row.known) continue;
    row.row = *known.row;
    row.read = state.wall(known.read_at);
    row.expired = state.validity.expired(key, kind_of(row.row), known.read_at, state.clock.now());
    row.preloaded = known.preloaded;
  }
  return shown;
}

Stats Directory::stats() const {
  const State& state = *state_;
  Stats stats;
  state.database->describe(stats.database);
  stats.database.answers = state.answering;
  stats.database.since = state.answering_since;
  stats.database.last_failure = state.last_failure;

  constexpr const char* kFeedStates[] = {"off", "followed", "lost", "unavailable"};
  stats.feed.state = kFeedStates[static_cast<std::size_t>(state.follower->state())];
  stats.feed.reason = state.follower->reason();
  if (state.follower->last_poll() != Instant()) stats.feed.lag = state.clock.now() - state.follower->last_poll();
  stats.feed.position = state.follower->position().last;
  stats.feed.gaps = state.follower->counters().gaps;
  stats.feed.changes = state.follower->counters().changes;

  stats.stale = {state.stale_serving, state.stale_serving ? state.stale_since : WallTime{}, state.answers.stale};
  const Guard& guard = state.domains_guard.tripped() ? state.domains_guard : state.rows_guard;
  if (guard.tripped()) stats.guard = {true, guard.since(), guard.what()};
  const auto& cache = state.rows.cache();
  stats.cache = {cache.size(), cache.bytes(), cache.limit(), cache.evicted(), state.credentials.size()};
  stats.answers = state.answers;

  constexpr const char* kPreloadStates[] = {"off", "loading", "loaded"};
  stats.preload.state = kPreloadStates[static_cast<std::size_t>(state.preloader->state())];
  stats.preload.reason = state.preloader->reason();
  if (const auto& set = state.rows.preloaded()) {
    stats.preload.rows = set->size();
    stats.preload.bytes = set->bytes();
    stats.preload.read = state.wall(state.rows.preloaded_at());
  }
  if (const auto& domains = state.domains->last()) {
    stats.domains = {domains->size(), state.wall(state.domains->read_at())};
  }
  stats.snapshot = {state.snapshots->written(), state.snapshots->error()};
  return stats;
}

void Directory::reload(const config::Settings& settings) {
  State& state = *state_;
  assert(state.loop.on_loop());
  state.settings = settings;
  state.extensions = extensions_of(settings);
  state.validity.set_lifetimes(lifetimes_of(settings));
  state.rows.cache().set_limit(cache_limit(settings));
  state.credentials.set_limit(cache_limit(settings) / 4);
  state.domains_guard.set_max_loss(settings.directory.max_loss);
  state.rows_guard.set_max_loss(settings.directory.max_loss);
  state.preloader->set(preload_settings(settings));
  state.follower->set_times(feed_times(settings));
  state.refresher->set_times({settings.database.deadline, settings.directory.comparison_interval});
  state.domains->set_times(domain_times(settings));
  state.domains->load();
}

void Directory::stop() {
  State& state = *state_;
  assert(state.loop.on_loop());
  if (std::exchange(state.stopped, true)) return;
  state.follower->stop();
  state.preloader->stop();
  state.refresher->stop();
  state.probe_timer.cancel();
  state.sweep_timer.cancel();
  state.address_flights->give_up(kStopping);
  state.credential_flights->give_up(kStopping);
  state.database->stop();
  state.domains->stop(kStopping);
  const auto last = state.begin_snapshot();
  state.rows.cache().walk(0, std::size_t(-1), [&](const auto& entry) { state.add_to_snapshot(*last, entry); });
  state.snapshots->stop(last->domains ? last.get() : nullptr);
}

}  // namespace vmail::directory
