#include "shared/directory/query_maps.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "shared/base/text.h"
#include "shared/directory/cache.h"
#include "shared/directory/map_query.h"
#include "shared/mysql/pool.h"
#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

constexpr std::size_t kThreads = 2;
// As Postfix's virtual_alias_expansion_limit; a query that has lost its WHERE is not read to its end.
constexpr std::size_t kMaxValues = 1000;
constexpr const char* kStopping = "the daemon is stopping";

// A value goes to Postfix as it is, several joined by commas: what could be taken for something else is bad data.
void add_value(std::string_view value, AddressList& values, std::size_t& count) {
  if (value.empty()) return;
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (!is_utf8(value) || std::any_of(value.begin(), value.end(), is_control)) {
    throw std::runtime_error("the query gives a value with control characters or without UTF-8: " + printable(value));
  }
  if (++count > kMaxValues) throw std::runtime_error("the query gives more than 1000 values for one key");
  values.add(value);
}

class SqlQueries final : public QueryDatabase {
 public:
  SqlQueries(Loop& loop, const Clock& clock, const config::Settings& settings, const Options& options)
      : SqlQueries(loop, clock, settings,
                   mysql::options_from(settings, options.database_user, options.database_password.copy())) {}

  void ask(const std::string& sql, std::vector<std::string> parameters, Instant deadline, Done done) override {
    pool_.ask<AddressList>(
        "maps.query", deadline,
        [sql, parameters = std::move(parameters)](mysql::Connection& connection) {
          AddressList values;
          std::size_t count = 0;
          const std::vector<mysql::Value> bound(parameters.begin(), parameters.end());
          connection.stream(
              sql, [&](mysql::Connection::Cells cells) { add_value(cells[0].value_or(""), values, count); }, bound);
          return values;
        },
        std::move(done));
  }
  void stop() override { pool_.stop(); }

 private:
  SqlQueries(Loop& loop, const Clock& clock, const config::Settings& settings, mysql::Options login)
      : pool_(loop, clock, std::make_shared<mysql::Hosts>(clock, login.hosts, login.user, mysql::rules_from(settings)),
              login.copy(), limits()) {}

  static mysql::Pool::Limits limits() {
    mysql::Pool::Limits limits;
    limits.threads = kThreads;
    return limits;
  }

  mysql::Pool pool_;
};

}  // namespace

struct QueryMaps::State : std::enable_shared_from_this<State> {
  State(Loop& its_loop, const Clock& its_clock, const config::Settings& its_settings,
        std::unique_ptr<QueryDatabase> its_database)
      : loop(its_loop),
        clock(its_clock),
        settings(its_settings),
        database(std::move(its_database)),
        rows(static_cast<std::size_t>(settings.directory.cache_size.count / 4)) {
    for (const auto& map : settings.maps.query) {
      queries.emplace_back(map);
      names.push_back(map.name);
    }
  }

  // What is under way to the database, and who waits for it.
  struct Flight {
    Instant began;
    std::vector<Later<AddressList>> waiters;
  };
  using FlightPtr = std::shared_ptr<Flight>;

  bool make_key(std::size_t map, std::string_view asked);
  Recalled<AddressList> answer_key(std::size_t map, std::string_view asked, Instant now);
  bool find(bool stale, Instant now);
  void land(const std::string& row_key, const FlightPtr& flight, Outcome<AddressList> read);

  Loop& loop;
  const Clock& clock;
  config::Settings settings;
  std::unique_ptr<QueryDatabase> database;
  std::vector<MapQuery> queries;
  std::vector<std::string> names;
  Cache<AddressRow> rows;  // the values are its destinations
  Instant doubted = Instant::min();
  std::unordered_map<std::string, FlightPtr, SeededHash> flights;
  bool stopped = false;

  // Used again and again, so that an answer from memory allocates little.
  std::string key;      // as the query gets it
  std::string row_key;  // the place of the map and the key
  Outcome<AddressList> out = Outcome<AddressList>::not_found();
};

bool QueryMaps::State::make_key(std::size_t map, std::string_view asked) {
  if (!map_key(asked, key)) return false;
  row_key.assign(std::to_string(map)).append(1, ' ').append(key);
  return true;
}

// Into `out`, when memory has it.
bool QueryMaps::State::find(bool stale, Instant now) {
  const auto* entry = rows.find(row_key);
  if (entry == nullptr) return false;
  const auto& times = settings.directory;
  const Duration bound = entry->known ? (stale ? times.stale_known : times.found_lifetime)
                                      : (stale ? times.stale_unknown : times.not_found_lifetime);
  if (now - entry->read_at >= bound || (!stale && entry->read_at <= doubted)) return false;
  if (entry->known) {
    out.find_again() = entry->row.destinations;
  } else {
    out.become(Status::NotFound);
  }
  out.set_source(stale ? Source::Stale : Source::Memory);
  return true;
}

Recalled<AddressList> QueryMaps::State::answer_key(std::size_t map, std::string_view asked, Instant now) {
  assert(loop.on_loop());
  out.set_source(Source::Memory);
  if (stopped) {
    out.fail(kStopping);
  } else if (!make_key(map, asked)) {
    out.become(Status::NotFound);
  } else if (!find(false, now)) {
    return nullptr;
  }
  return &out;
}

void QueryMaps::State::land(const std::string& its_key, const FlightPtr& flight, Outcome<AddressList> read) {
  const auto at = flights.find(its_key);
  if (at != flights.end() && at->second == flight) flights.erase(at);
  if (read.is_found()) {
    AddressRow row;
    row.destinations = read.value();
    const bool known = !row.destinations.empty();
    rows.put(its_key, std::move(row), flight->began, known);
    if (!known) read.become(Status::NotFound);
  } else if (!stopped) {
    row_key = its_key;
    if (find(true, clock.now())) read = out;
  }
  for (auto& waiter : std::exchange(flight->waiters, {})) waiter(read);
}

QueryMaps::QueryMaps(Loop& loop, const Clock& clock, const config::Settings& settings, const Options& options)
    : QueryMaps(loop, clock, settings,
                settings.maps.query.empty() ? nullptr : std::make_unique<SqlQueries>(loop, clock, settings, options)) {}

QueryMaps::QueryMaps(Loop& loop, const Clock& clock, const config::Settings& settings,
                     std::unique_ptr<QueryDatabase> database)
    : state_(std::make_shared<State>(loop, clock, settings, std::move(database))) {}

QueryMaps::~QueryMaps() {
  stop();
}

const std::vector<std::string>& QueryMaps::names() const {
  return state_->names;
}

Recalled<AddressList> QueryMaps::recall(std::size_t map, std::string_view key, Instant now) {
  return state_->answer_key(map, key, now);
}

Answer<AddressList> QueryMaps::ask(std::size_t map, std::string_view key, Later<AddressList> later) {
  State& state = *state_;
  const Instant now = state.clock.now();
  if (const auto known = state.answer_key(map, key, now)) return *known;
  const MapQuery& query = state.queries.at(map);
  auto values = query.bind(state.key, state.settings.addresses.recipient_delimiter);
  if (!values) {
    state.out.become(Status::NotFound);
    return state.out;
  }
  auto& flight = state.flights[state.row_key];
  if (flight && flight->began > state.doubted) {
    flight->waiters.push_back(std::move(later));
    return std::nullopt;
  }
  flight = std::make_shared<State::Flight>();
  flight->began = now;
  flight->waiters.push_back(std::move(later));
  state.database->ask(query.sql(), std::move(*values), now + state.settings.database.deadline,
                      [weak = state.weak_from_this(), flight, key = state.row_key](Outcome<AddressList> read) {
                        if (const auto self = weak.lock()) self->land(key, flight, std::move(read));
                      });
  return std::nullopt;
}

void QueryMaps::flush() {
  state_->doubted = state_->clock.now();
}

void QueryMaps::reload(const config::Settings& settings) {
  State& state = *state_;
  const auto queries = std::move(state.settings.maps.query);
  if (settings.maps.query != queries) {
    log::warning("maps.query has changed: the maps of vmail-mapd stay as they are until it is restarted");
  }
  state.settings = settings;
  state.settings.maps.query = queries;
  state.rows.set_limit(static_cast<std::size_t>(settings.directory.cache_size.count / 4));
}

void QueryMaps::stop() {
  State& state = *state_;
  if (std::exchange(state.stopped, true)) return;
  if (state.database) state.database->stop();
}

}  // namespace vmail::directory
