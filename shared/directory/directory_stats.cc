#include <cassert>

#include "shared/base/text.h"
#include "shared/directory/directory_state.h"
#include "shared/directory/idn.h"

namespace vmail::directory {

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
    stats.domains = {domains->size(), domains->rules->size(), state.wall(state.domains->read_at())};
  }
  stats.snapshot = {state.snapshots->written(), state.snapshots->error()};
  return stats;
}

}  // namespace vmail::directory
