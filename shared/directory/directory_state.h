// What a Directory is made of; for the files that are one, and nobody else:
//
//   directory.cc         how it begins and ends, what is kept, and how the database comes and goes
//   lookup.cc            the questions that rows answer: from memory, and those that must wait
//   domain_lookup.cc     those that the sets of domains and the rules answer, or more than one question
//   directory_stats.cc   what it shows of itself
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/base/address.h"
#include "shared/directory/breaker.h"
#include "shared/directory/database.h"
#include "shared/directory/domain_sets.h"
#include "shared/directory/expansion.h"
#include "shared/directory/flights.h"
#include "shared/directory/follower.h"
#include "shared/directory/guard.h"
#include "shared/directory/login_writes.h"
#include "shared/directory/preloader.h"
#include "shared/directory/refresher.h"
#include "shared/directory/resolver.h"
#include "shared/directory/row_store.h"
#include "shared/directory/snapshots.h"
#include "shared/directory/stats.h"
#include "shared/directory/validity.h"
#include "shared/directory/watched_database.h"
#include "shared/runtime/log.h"

namespace vmail::directory {

inline constexpr const char* kStopping = "the daemon is stopping";

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

// A question about an address, from its arrival to its answer.
template <class T>
struct Question {
  Address address;
  std::string domain;  // of the address, as key
  Freshness freshness;
  Instant arrival;
  Later<T> later;
};

struct Directory::State : std::enable_shared_from_this<State> {
  State(Loop& its_loop, const Clock& its_clock, const config::Settings& its_settings,
        std::unique_ptr<Database> its_database, const std::string& state_folder);
  void start();

  enum class Need : unsigned char { Nothing, Domains, Rows };

  const Domains* look_domains(Instant now, const std::string*& failure) const;
  template <class T, class Recall>
  Answer<T> ask_domains(Recall recall, Later<T> later);
  void look_rule(const Domains& sets, RuleKind kind, std::string_view name, Outcome<AddressList>& outcome);
  bool climb(std::string_view name, const Domains& sets);
  Outcome<MailboxPage> in_domains(Outcome<MailboxPage> found);
  Outcome<AddressList> owners(std::string_view sender, const Outcome<Expansion>& ends);

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
  void login_changed(const std::string& address);
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
  template <class T>
  auto current_rows(Instant now) {
    using Row = typename Asked<T>::Row;
    return CurrentRows<Row, std::remove_reference_t<decltype(store<Row>())>>(store<Row>(), validity, now);
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
  std::shared_ptr<Expander> expander;
  std::shared_ptr<LoginWrites> login_writes;
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

}  // namespace vmail::directory
