#include "shared/directory/directory.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "shared/directory/directory_state.h"
#include "shared/directory/idn.h"
#include "shared/directory/sql_database.h"

namespace vmail::directory {
namespace {

constexpr Duration kSweep = std::chrono::minutes(1);
constexpr std::size_t kRowsPerTurn = 1000;  // of a snapshot, between two turns of the loop

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
                                       Preset::built_in(settings.directory.preset), options.rules);
}

}  // namespace

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
  login_writes = std::make_shared<LoginWrites>(loop, clock, *database, settings.database.deadline,
                                               [weak](const std::string& address) {
                                                 if (const auto self = weak.lock()) self->login_changed(address);
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
  bool rules_changed = false;
  for (const auto& change : changes) {
    if (change.kind == Change::Kind::Domain) {
      validity.doubt_domain(change.key, now);
      domains_changed = true;
      continue;
    }
    if (change.kind == Change::Kind::Rules) {
      rules_changed = true;
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
  if (domains_changed || rules_changed) domains->load_anew();
  if (domains_changed) preloader->reload();
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
  state_->expander = std::make_shared<Expander>(*this, clock, settings.database.deadline);
  state_->start();
}

Directory::~Directory() {
  stop();
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
  state.expander->set_deadline(settings.database.deadline);
  state.login_writes->set_deadline(settings.database.deadline);
  state.domains->load();
}

void Directory::stop() {
  State& state = *state_;
  assert(state.loop.on_loop());
  if (std::exchange(state.stopped, true)) return;
  state.follower->stop();
  state.preloader->stop();
  state.refresher->stop();
  state.login_writes->stop();
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
