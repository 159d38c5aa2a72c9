#include "shared/mysql/hosts.h"

#include <algorithm>

#include "shared/runtime/log.h"

namespace vmail::mysql {
namespace {

// A host that comes and goes many times a second must not fill the log.
constexpr Duration kLogInterval = std::chrono::seconds(10);

}  // namespace

Hosts::Hosts(const Clock& clock, std::vector<Host> hosts, std::string user, Duration retry_after,
             Duration retry_after_max)
    : clock_(clock),
      user_(std::move(user)),
      retry_after_(retry_after),
      retry_after_max_(std::max(retry_after, retry_after_max)),
      random_(std::random_device{}()) {
  states_.resize(hosts.size());
  for (std::size_t i = 0; i < hosts.size(); ++i) states_[i].host = std::move(hosts[i]);
}

// Three quarters to five quarters, so that many daemons do not knock in step.
Duration Hosts::jittered(Duration time) {
  return time * std::uniform_int_distribution<int>(75, 125)(random_) / 100;
}

void Hosts::claim(State& state, Instant now) {
  state.probe_after = now + jittered(retry_after_);
  state.not_before = std::max(state.not_before, state.probe_after);
}

std::optional<std::size_t> Hosts::pick(const std::vector<bool>& tried) {
  const Instant now = clock_.now();
  Lock lock(mutex_);
  bool all_down = true;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    State& state = states_[i];
    all_down = all_down && state.down;
    if (tried[i] || (state.down && now < state.not_before)) continue;
    if (state.down) claim(state, now);
    return i;
  }
  if (!all_down) return std::nullopt;
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (tried[i] || now < states_[i].probe_after) continue;
    if (!best || states_[i].probe_after < states_[*best].probe_after) best = i;
  }
  if (best) claim(states_[*best], now);
  return best;
}

void Hosts::failed(std::size_t index, const std::string& reason) {
  const Instant now = clock_.now();
  bool write = false;
  {
    Lock lock(mutex_);
    State& state = states_[index];
    last_failure_ = reason;
    // The workers all see the same failure: it counts once.
    if (state.failures == 0 || now >= state.probe_after) {
      const unsigned doublings = std::min(state.failures, 20U);
      const Duration pause = std::min(Duration(retry_after_ * (1L << doublings)), retry_after_max_);
      ++state.failures;
      state.not_before = now + jittered(pause);
      state.probe_after = now + jittered(retry_after_);
    }
    if (!state.down) {
      state.down = true;
      state.down_since = now;
      write = state.last_logged == Instant{} || now - state.last_logged >= kLogInterval;
      if (write) state.last_logged = now;
      state.logged = write;
    }
  }
  if (write) log::error("database-down host={} user={}: {}", states_[index].host.text(), user_, reason);
}

void Hosts::works(std::size_t index) {
  const Instant now = clock_.now();
  bool write = false;
  Duration outage{};
  {
    Lock lock(mutex_);
    State& state = states_[index];
    if (!state.down) return;
    outage = now - state.down_since;
    write = state.logged;
    state.down = false;
    state.failures = 0;
  }
  if (write) {
    log::warning("database-up host={} user={} after={}s: it answers again", states_[index].host.text(), user_,
                 std::chrono::duration_cast<std::chrono::seconds>(outage).count());
  }
}

std::string Hosts::last_failure() const {
  Lock lock(mutex_);
  return last_failure_;
}

}  // namespace vmail::mysql
