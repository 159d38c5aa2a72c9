#include "shared/mysql/prober.h"

#include <fmt/format.h>

#include <cassert>
#include <vector>

#include "shared/mysql/galera.h"
#include "shared/mysql/library.h"
#include "shared/mysql/link.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::mysql {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(250);
// Of one look. A host that answers questions meanwhile is not down for being slower than that.
constexpr Duration kPatience = std::chrono::seconds(2);

}  // namespace

struct Prober::State {
  struct Probe {
    // Loop's.
    Instant last{};
    bool overdue = false;
    // Set by the loop before the look, cleared by the worker after it.
    std::atomic<bool> out{false};
    std::atomic<bool> given_up{false};
    Link link;
    bool galera = false;  // the worker's
  };

  State(Loop& loop, const Clock& its_clock, std::shared_ptr<Hosts> its_hosts, Options its_options)
      : clock(its_clock),
        hosts(std::move(its_hosts)),
        options(std::move(its_options)),
        probes(hosts->size()),
        timer(loop) {}

  void tick();
  void look(std::size_t host);
  void look(std::size_t host, Instant began);

  const Clock& clock;
  const std::shared_ptr<Hosts> hosts;
  const Options options;
  std::vector<Probe> probes;
  std::unique_ptr<WorkerPool> threads;
  Timer timer;
};

Prober::Prober(Loop& loop, const Clock& clock, std::shared_ptr<Hosts> hosts, Options options)
    : state_(std::make_unique<State>(loop, clock, std::move(hosts), std::move(options))) {
  const std::size_t count = state_->probes.size();
  if (count < 2) return;
  use_library();
  WorkerPool::Hooks hooks;
  hooks.started = [](std::size_t) { begin_thread(); };
  hooks.ended = [](std::size_t) { end_thread(); };
  state_->threads = std::make_unique<WorkerPool>("database-probe", count, count, std::move(hooks));
  state_->tick();
}

Prober::~Prober() {
  stop();
}

void Prober::stop() {
  state_->timer.cancel();
  if (!state_->threads) return;
  for (auto& probe : state_->probes) {
    probe.given_up = true;
    probe.link.interrupt();
  }
  state_->threads->stop();
  state_->threads.reset();
  for (auto& probe : state_->probes) probe.link.close();
}

void Prober::State::tick() {
  const Instant now = clock.now();
  for (std::size_t host = 0; host < probes.size(); ++host) {
    Probe& probe = probes[host];
    if (probe.out) {
      if (now - probe.last < kPatience || std::exchange(probe.overdue, true)) continue;
      probe.given_up = true;
      probe.link.interrupt();
      if (!hosts->answered_since(host, probe.last)) {
        hosts->failed(host, probe.last, fmt::format("database on {} did not answer in time", (*hosts)[host].text()),
                      true);
      }
    } else if (now >= hosts->probe_at(host, probe.last)) {
      probe.last = now;
      probe.overdue = false;
      probe.given_up = false;
      probe.out = true;
      if (!threads->submit([this, host](std::size_t) { look(host); })) probe.out = false;
    }
  }
  timer.start(kTick, [this] { tick(); });
}

void Prober::State::look(std::size_t host) {
  Probe& probe = probes[host];
  // A connection that we have may go on working where no new one is to be had: that is no reason to come back.
  if (hosts->is_down(host)) probe.link.close();
  const bool reused = probe.link.connected();
  const Instant began = clock.now();
  try {
    try {
      look(host, began);
    } catch (const Error&) {
      probe.link.close();
      if (!reused || probe.given_up) throw;
      // The server may have closed this one connection.
      look(host, began);
    }
  } catch (const std::exception& error) {
    probe.link.close();
    if (!probe.given_up) hosts->failed(host, began, error.what());
  }
  probe.out = false;
}

void Prober::State::look(std::size_t host, Instant began) {
  Probe& probe = probes[host];
  const bool fresh = !probe.link.connected();
  if (fresh) probe.link.open(options, (*hosts)[host], probe.given_up);
  std::string unsynced;
  Duration round_trip{};
  probe.link.use(
      [&](Connection& connection) {
        if (fresh || probe.galera) {
          GaleraState galera = galera_state(connection);
          probe.galera = galera.node;
          unsynced = std::move(galera.unsynced);
        }
        const Instant asked = clock.now();
        connection.run("SELECT 1");
        round_trip = clock.now() - asked;
      },
      probe.given_up);
  hosts->probed(host, began, unsynced, round_trip);
}

}  // namespace vmail::mysql
