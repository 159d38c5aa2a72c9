#include "shared/mysql/hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "shared/runtime/log.h"

namespace vmail::mysql {
namespace {

// A host that comes and goes many times a second must not fill the log.
constexpr Duration kLogInterval = std::chrono::seconds(10);
// How often a prober looks at a host that is not down.
constexpr Duration kProbeInterval = std::chrono::seconds(1);
// Another host is nearer only when its round trip is shorter by a quarter and by this, and stays so for that long: what
// differs less is noise, and each change makes the change feed begin anew.
constexpr Duration kNearerBy = std::chrono::microseconds(200);
constexpr Duration kNearerFor = std::chrono::seconds(10);

}  // namespace

Hosts::Rules rules_from(const config::Settings& settings) {
  const auto& database = settings.database;
  return {database.choose_host == "nearest" ? Hosts::Choice::Nearest : Hosts::Choice::First, database.retry_after,
          database.retry_after_max};
}

Hosts::Hosts(const Clock& clock, std::vector<Host> hosts, std::string user, Rules rules)
    : clock_(clock), user_(std::move(user)), rules_(std::move(rules)), random_(std::random_device{}()) {
  states_.resize(hosts.size());
  for (std::size_t i = 0; i < hosts.size(); ++i) states_[i].host = std::move(hosts[i]);
  status_.since = clock.wall();
}

// Three quarters to the whole of it, so that many daemons do not knock in step.
Duration Hosts::jittered(Duration time) {
  return time * std::uniform_int_distribution<int>(75, 100)(random_) / 100;
}

std::optional<std::size_t> Hosts::pick(std::optional<std::size_t> held) {
  const Instant now = clock_.now();
  Lock lock(mutex_);
  if (states_[current_].fitness != Fitness::Down) return current_;
  if (held && !states_[*held].hanging) return held;
  std::optional<std::size_t> longest_ago;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (now < states_[i].retry_at) continue;
    if (!longest_ago || states_[i].retry_at < states_[*longest_ago].retry_at) longest_ago = i;
  }
  return longest_ago;
}

std::size_t Hosts::tries(std::size_t host) const {
  Lock lock(mutex_);
  std::size_t count = 1;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (i != host && states_[i].fitness != Fitness::Down) ++count;
  }
  return count;
}

void Hosts::works(std::size_t index, Instant began) {
  Lines lines;
  {
    Lock lock(mutex_);
    State& state = states_[index];
    state.answered = clock_.now();
    // The usual case.
    if (state.fitness != Fitness::Down && status_.answers) return;
    up(index, began, state.fitness == Fitness::Unsynced, "", lines);
  }
  write(lines);
}

void Hosts::failed(std::size_t index, Instant began, const std::string& reason, bool hanging) {
  down(index, began, reason, hanging, false);
}

void Hosts::read_only(std::size_t index, Instant began, const std::string& reason) {
  down(index, began, reason, false, true);
}

void Hosts::connected(std::size_t index, const std::string& unsynced) {
  Lines lines;
  {
    Lock lock(mutex_);
    up(index, clock_.now(), !unsynced.empty(), unsynced, lines);
  }
  write(lines);
}

void Hosts::probed(std::size_t index, Instant began, const std::string& unsynced, Duration round_trip) {
  const Instant now = clock_.now();
  Lines lines;
  {
    Lock lock(mutex_);
    up(index, began, !unsynced.empty(), unsynced, lines);
    State& state = states_[index];
    if (state.fitness == Fitness::Down) return;
    state.round_trip = state.round_trip ? (*state.round_trip * 3 + round_trip) / 4 : round_trip;
    if (rules_.choice == Choice::Nearest) {
      consider_nearest(now, lines);
    } else if (index < current_ && state.fitness == Fitness::Good && now >= state.not_before) {
      move(index, "it works again and is to be asked first", lines);
    }
  }
  write(lines);
}

// The second half of every good news; `unsynced` is the reason, for the log.
void Hosts::up(std::size_t index, Instant began, bool is_unsynced, const std::string& unsynced, Lines& lines) {
  const Instant now = clock_.now();
  State& state = states_[index];
  if (state.fitness == Fitness::Down && began < state.failed_at) return;
  const Fitness before = std::exchange(state.fitness, is_unsynced ? Fitness::Unsynced : Fitness::Good);
  if (before == Fitness::Down) {
    if (state.logged) {
      const auto outage = std::chrono::duration_cast<std::chrono::seconds>(now - state.down_since);
      lines.push_back({false, fmt::format("database-up host={} user={} after={}s: it answers again", state.host.text(),
                                          user_, outage.count())});
    }
    state.hanging = false;
    state.up_since = now;
  }
  if (is_unsynced && before != Fitness::Unsynced) {
    lines.push_back(
        {false, fmt::format("database-not-synced host={} user={}: {}", state.host.text(), user_, unsynced)});
  } else if (!is_unsynced && before == Fitness::Unsynced) {
    lines.push_back({false, fmt::format("database-synced host={} user={}", state.host.text(), user_)});
  }
  if (index == current_) {
    const std::size_t other = best();
    if (states_[other].fitness < state.fitness) move(other, "the other is not synced", lines);
  } else if (state.fitness < states_[current_].fitness) {
    move(index, states_[current_].fitness == Fitness::Down ? "the other does not answer" : "the other is not synced",
         lines);
  }
  note_answers(true);
}

void Hosts::down(std::size_t index, Instant began, const std::string& reason, bool hanging, bool read_only) {
  const Instant now = clock_.now();
  Lines lines;
  bool elsewhere = false;
  {
    Lock lock(mutex_);
    State& state = states_[index];
    if (state.up_since > began) return;
    status_.last_failure = reason;
    // Everybody sees the same failure: it counts once.
    if (state.fitness != Fitness::Down || now >= state.retry_at) {
      if (state.fitness != Fitness::Down && now - state.up_since >= rules_.retry_after_max) state.failures = 0;
      const unsigned doublings = std::min(state.failures, 20U);
      const Duration pause = std::min(Duration(rules_.retry_after * (1L << doublings)), rules_.retry_after_max);
      ++state.failures;
      state.not_before = now + jittered(std::max(pause, rules_.retry_after));
      state.retry_at = now + jittered(rules_.retry_after);
    }
    state.failed_at = now;
    state.hanging = state.hanging || hanging;
    state.round_trip.reset();
    if (state.fitness != Fitness::Down) {
      state.fitness = Fitness::Down;
      state.down_since = now;
      state.logged = state.last_logged == Instant{} || now - state.last_logged >= kLogInterval;
      if (state.logged) {
        state.last_logged = now;
        const char* event = read_only ? "database-read-only" : "database-down";
        lines.push_back({!read_only, fmt::format("{} host={} user={}: {}", event, state.host.text(), user_, reason)});
      }
    }
    if (index == current_) {
      const std::size_t other = best();
      if (states_[other].fitness != Fitness::Down) {
        move(other, read_only ? "the other takes no writes" : "the other failed", lines);
      }
    }
    elsewhere = index != current_;
    note_answers(states_[current_].fitness != Fitness::Down);
  }
  write(lines);
  if (hanging && elsewhere) {
    Lock lock(listeners_mutex_);
    for (const auto& listener : listeners_) listener.second(index);
  }
}

std::size_t Hosts::best() const {
  const auto rank = [this](std::size_t i) {
    const State& state = states_[i];
    const Duration distance =
        rules_.choice == Choice::Nearest ? state.round_trip.value_or(Duration::max()) : Duration::zero();
    return std::tuple(state.fitness, distance, i);
  };
  std::size_t found = 0;
  for (std::size_t i = 1; i < states_.size(); ++i) {
    if (rank(i) < rank(found)) found = i;
  }
  return found;
}

void Hosts::consider_nearest(Instant now, Lines& lines) {
  const std::size_t other = best();
  const auto& here = states_[current_].round_trip;
  const auto& there = states_[other].round_trip;
  if (!here || !there || *there * 4 >= *here * 3 || *there + kNearerBy >= *here) {
    nearer_.reset();
  } else if (nearer_ != other) {
    nearer_ = other;
    nearer_since_ = now;
  }
  // At first there is nothing to be left: no waiting then, but for each of the others to be measured.
  const bool all_known = std::all_of(states_.begin(), states_.end(), [](const State& state) {
    return state.fitness == Fitness::Down || state.round_trip;
  });
  const bool at_first = all_known && !std::exchange(chosen_, all_known || chosen_);
  if (nearer_ && (at_first || now - nearer_since_ >= kNearerFor)) move(other, "it is nearer", lines);
}

void Hosts::move(std::size_t to, const char* why, Lines& lines) {
  lines.push_back({false, fmt::format("database-host host={} before={} user={}: {}", states_[to].host.text(),
                                      states_[current_].host.text(), user_, why)});
  current_ = to;
  nearer_.reset();
  ++status_.changes;
}

void Hosts::note_answers(bool answers) {
  if (status_.answers == answers) return;
  status_.answers = answers;
  status_.since = clock_.wall();
}

void Hosts::write(const Lines& lines) {
  for (const Line& line : lines) {
    if (line.error) {
      log::error("{}", line.text);
    } else {
      log::warning("{}", line.text);
    }
  }
}

Instant Hosts::probe_at(std::size_t index, Instant last) const {
  Lock lock(mutex_);
  const State& state = states_[index];
  if (state.fitness != Fitness::Down) return last + kProbeInterval;
  return states_[current_].fitness == Fitness::Down ? state.retry_at : state.not_before;
}

bool Hosts::is_down(std::size_t index) const {
  Lock lock(mutex_);
  return states_[index].fitness == Fitness::Down;
}

bool Hosts::answered_since(std::size_t index, Instant began) const {
  Lock lock(mutex_);
  return states_[index].answered >= began;
}

Hosts::Status Hosts::status() const {
  Lock lock(mutex_);
  Status status = status_;
  status.host = states_[current_].host.text();
  return status;
}

std::string Hosts::last_failure() const {
  Lock lock(mutex_);
  return status_.last_failure;
}

void Hosts::listen(const void* owner, std::function<void(std::size_t)> hangs) {
  Lock lock(listeners_mutex_);
  listeners_.emplace(owner, std::move(hangs));
}

void Hosts::forget(const void* owner) {
  Lock lock(listeners_mutex_);
  listeners_.erase(owner);
}

}  // namespace vmail::mysql
