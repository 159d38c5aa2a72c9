#include "dovecot-auth/throttle/keeper.h"

#include <nlohmann/json.hpp>

#include "shared/base/state_file.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::auth {
namespace {

constexpr Duration kInterval = std::chrono::minutes(1);
constexpr std::size_t kMaxFile = 256u << 20;
constexpr std::size_t kShown = 200;

nlohmann::json to_json(const Throttle::Shown& shown) {
  return {{"name", shown.name},
          {"kind", shown.is_network ? "network" : "account"},
          {"count", shown.count},
          {"limit", shown.limit},
          {"state", word(shown.what)},
          {"opens_in", std::chrono::duration_cast<std::chrono::seconds>(shown.opens_in).count()},
          {"last", shown.last},
          {"known", shown.known}};
}

nlohmann::json to_json(const std::vector<Throttle::Shown>& list) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& shown : list) rows.push_back(to_json(shown));
  return rows;
}

}  // namespace

Throttle::Rules throttle_rules(const config::Settings::Throttle& settings) {
  auto trusted = settings.trusted;
  // This host's own programs stand for many people, whatever else is trusted.
  trusted.insert(trusted.end(), {"127.0.0.0/8", "::1/128"});
  return {settings.passwords, settings.accounts, settings.window, settings.known, Networks(trusted)};
}

ThrottleKeeper::ThrottleKeeper(Loop& loop, const Clock& clock, WorkerPool& worker,
                               const config::Settings::Throttle& settings, const std::string& folder)
    : loop_(loop),
      clock_(clock),
      worker_(worker),
      path_(folder.empty() ? "" : folder + "/throttle"),
      throttle_(throttle_rules(settings)),
      timer_(loop) {
  if (path_.empty()) return;
  read();
  wait();
}

void ThrottleKeeper::read() {
  try {
    const auto text = read_state(path_, kMaxFile);
    if (text && !throttle_.load(*text, clock_.now(), clock_.wall())) {
      log::warning("throttle-unusable: {} is damaged; what could be read of it counts", path_);
    }
  } catch (const StateFileError& error) {
    log::warning("throttle-unusable: {}; counting begins anew", error.what());
  }
}

void ThrottleKeeper::wait() {
  timer_.start(kInterval, [this] { write_later(); });
}

void ThrottleKeeper::write_later() {
  if (throttle_.changes() == written_) return wait();
  const auto changes = throttle_.changes();
  auto job = [this, changes, text = throttle_.save(clock_.now(), clock_.wall())](std::size_t) {
    std::string error;
    try {
      write_state(path_, text);
    } catch (const StateFileError& failure) {
      error = failure.what();
    }
    loop_.post([this, changes, error] {
      if (error.empty()) written_ = changes;
      wrote(error);
      wait();
    });
  };
  if (!worker_.submit(std::move(job))) wait();
}

void ThrottleKeeper::wrote(const std::string& error) {
  if (!error.empty() && error != error_) log::error("throttle-failed: {}", error);
  error_ = error;
}

std::optional<nlohmann::json> ThrottleKeeper::answer_control(const nlohmann::json& request) {
  if (request.value("command", "") != "throttle") return std::nullopt;
  const auto action = request.value("action", "show");
  const auto name = request.value("name", "");
  if (action == "clear") return nlohmann::json{{"cleared", throttle_.clear(name)}};
  if (action == "why") return nlohmann::json{{"rows", to_json(throttle_.why(name, clock_.now()))}};
  return nlohmann::json{{"rows", to_json(throttle_.show(kShown, clock_.now()))},
                        {"accounts", throttle_.accounts()},
                        {"networks", throttle_.networks()}};
}

void ThrottleKeeper::metrics(metrics::Registry& registry) {
  registry.collect([this](metrics::Samples& samples) {
    constexpr const char* kName = "vmailkit_throttle_entries";
    constexpr const char* kHelp = "Accounts and networks of which failed logins are counted.";
    samples.gauge(kName, kHelp, static_cast<double>(throttle_.accounts()), {{"kind", "account"}});
    samples.gauge(kName, kHelp, static_cast<double>(throttle_.networks()), {{"kind", "network"}});
  });
}

void ThrottleKeeper::stop() {
  timer_.cancel();
  if (path_.empty() || throttle_.changes() == written_) return;
  try {
    write_state(path_, throttle_.save(clock_.now(), clock_.wall()));
  } catch (const StateFileError& error) {
    wrote(error.what());
  }
}

}  // namespace vmail::auth
