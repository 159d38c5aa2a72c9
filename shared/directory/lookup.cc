#include <algorithm>
#include <cassert>

#include "shared/directory/directory_state.h"
#include "shared/directory/idn.h"

namespace vmail::directory {
namespace {

// What a permanent refusal rests on is no older than this when the question arrives.
constexpr Duration kFresh = std::chrono::seconds(1);

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

// Is a refusal what it is by the sets of domains and the rules as well? That it is an alias domain is part of it, and
// so is the state of a mailbox.
template <class T>
bool rests_on_domains(const Ladder& ladder, const Domains& sets, const Outcome<T>& outcome) {
  if (!is_refusal(outcome)) return false;
  return !ladder.target.empty() || (outcome.status() == Status::Disabled && sets.rules->has(RuleKind::State));
}

}  // namespace

// ---- Answers from memory

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
  auto current = current_rows<T>(now);
  if (Asked<T>::resolve(ladder, extensions, *sets->rules, current, outcome)) {
    if (!must_be_fresh(freshness, outcome)) return Need::Nothing;
    if (current.oldest() >= fresh_since) {
      const bool old = rests_on_domains(ladder, *sets, outcome) && !domains->read_since(fresh_since);
      return old ? need_domains(fresh_since) : Need::Nothing;
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
  const Domains* sets = domains->current(clock.now());
  if (sets == nullptr || !Asked<T>::resolve(its_ladder, extensions, *sets->rules, stale, outcome)) return false;
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

// Joins the query for the same address that is under way, or begins one for all rows of `ladder` that are to be read.
template <class T>
void Directory::State::fly(Question<T> question) {
  const Instant arrival = question.arrival;
  const std::string key(ladder.key(ladder.step(0)));
  // What was asked before a change, or too long ago for a refusal, is no answer to this one.
  const bool careful = kIsLogin<T> || question.freshness == Freshness::FreshForRefusal;
  const auto joins = [&](Instant began) {
    return !validity.doubted(key, began) && (!careful || began >= arrival - kFresh);
  };
  const auto keys = [&] {
    auto all = kIsLogin<T> ? ladder.step_keys() : ladder.keys();
    // Catch-alls, above all, are asked for again and again.
    if (!careful) {
      auto current = current_rows<T>(clock.now());
      std::erase_if(all, [&](const std::string& one) { return current.find(one) != nullptr; });
    }
    return all;
  };
  flights<typename Asked<T>::Row>().join(key, joins, keys, arrival + settings.database.deadline,
                                         [weak = weak_from_this(), question = std::move(question), its_ladder = ladder](
                                             const auto& read, Instant began) mutable {
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
    for (const auto& key : keys) this->put(key, read.at(key), began, known);
  };
  tower.failed = [this](const std::string& key, Instant began, const std::string& reason) {
    return query_failed(key, began, reason);
  };
  return std::make_shared<Flights<Row>>(clock, settings.database.connections, std::move(tower));
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
  auto current = current_rows<T>(clock.now());
  ReadRows source(read.value(), current);
  Outcome<T> outcome = Outcome<T>::not_found();
  const Instant fresh_since = question.arrival - kFresh;
  const Domains* sets = domains->current(clock.now());
  if (sets == nullptr || !Asked<T>::resolve(its_ladder, extensions, *sets->rules, source, outcome) ||
      (must_be_fresh(question.freshness, outcome) && std::min(began, current.oldest()) < fresh_since)) {
    resume(std::move(question));  // the ladder has changed, or something was read too long ago
  } else if (must_be_fresh(question.freshness, outcome) && rests_on_domains(its_ladder, *sets, outcome) &&
             !domains->read_since(fresh_since)) {
    wait(std::move(question), fresh_since);
  } else {
    answer(question, std::move(outcome));
  }
}

template std::shared_ptr<Flights<AddressRow>> Directory::State::make_flights();
template std::shared_ptr<Flights<CredentialRow>> Directory::State::make_flights();

// Whatever its row is now, it is not what was remembered.
void Directory::State::login_changed(const std::string& address) {
  const std::string key = address_key(address);
  validity.doubt(key, clock.now());
  credentials.forget(key);
}

// ---- The class

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

void Directory::note_use(std::uint64_t app_password, std::string ip) {
  state_->login_writes->note_use(app_password, std::move(ip));
}

void Directory::replace_hash(std::string login_address, Secret before, Secret after) {
  state_->login_writes->change(
      {LoginChange::What::Hash, std::move(login_address), std::move(before), std::move(after)});
}

void Directory::keep_scram(std::string login_address, Secret hash_it_belongs_to, Secret scram) {
  state_->login_writes->change(
      {LoginChange::What::Scram, std::move(login_address), std::move(hash_it_belongs_to), std::move(scram)});
}

}  // namespace vmail::directory
