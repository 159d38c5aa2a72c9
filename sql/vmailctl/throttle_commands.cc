#include <fmt/format.h>

#include "shared/base/text.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/health.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

using nlohmann::json;

// What vmail-authd says to it.
json tell_throttle(const App& app, const char* action, const std::string& name) {
  const auto daemon = daemons_of(app.settings, "auth").front();
  const Reply reply = ask(daemon, {{"command", "throttle"}, {"action", action}, {"name", name}});
  if (reply.state == Reply::State::Answered) return reply.value;
  throw Refusal(reply.error, reply.state == Reply::State::NotRunning
                                 ? "The throttle is in vmail-authd's memory: start it, then ask again."
                                 : "");
}

std::string sentence(const json& row) {
  const bool network = row.at("kind") == "network";
  const std::string counted = network
                                  ? fmt::format("{:.1f} of {} different accounts have failed from there",
                                                row.at("count").get<double>(), row.at("limit").get<std::uint64_t>())
                                  : fmt::format("{:.1f} of {} different wrong passwords", row.at("count").get<double>(),
                                                row.at("limit").get<std::uint64_t>());
  const std::string state = row.at("state");
  if (state == "open") return counted + ": nothing holds it up.";
  if (state == "slow") return counted + ": answers are slowed at the SASL socket.";
  return fmt::format("{}: stopped for {} more.", counted, age_text(row.at("opens_in").get<std::int64_t>() + 1));
}

}  // namespace

int throttle_show(const App& app) {
  const json reply = tell_throttle(app, "show", "");
  Json rows = Json::array();
  for (const auto& row : reply.at("rows")) {
    Json shown = row;
    const auto seconds = row.at("opens_in").get<std::int64_t>();
    if (!app.output.json()) {
      shown["count"] = fmt::format("{:.1f} of {}", row.at("count").get<double>(), row.at("limit").get<std::uint64_t>());
      shown["opens_in"] = row.at("state") == "stop" ? age_text(seconds + 1) : "";
    }
    rows.push_back(std::move(shown));
  }
  app.output.table({{"name", "WHO"},
                    {"kind", "KIND"},
                    {"count", "FAILED"},
                    {"state", "STATE"},
                    {"opens_in", "OPENS IN"},
                    {"last", "LAST BY"}},
                   rows);
  return 0;
}

int throttle_why(const App& app, const std::string& name) {
  const json rows = tell_throttle(app, "why", name).at("rows");
  if (app.output.json()) {
    app.output.object(rows);
    return 0;
  }
  if (rows.empty()) app.output.text(printable(name) + ": no failed login counts against it.");
  for (const auto& row : rows) {
    app.output.text(row.at("name").get<std::string>() + ": " + sentence(row));
    if (const auto last = row.at("last").get<std::string>(); !last.empty()) {
      app.output.text(fmt::format("  The last one was {} {}.", row.at("kind") == "network" ? "for" : "from", last));
    }
    if (const auto known = row.at("known").get<std::vector<std::string>>(); !known.empty()) {
      app.output.text(fmt::format("  It stays open to {}, from where it has logged in.", fmt::join(known, ", ")));
    }
  }
  return 0;
}

int throttle_clear(const App& app, const std::string& name, bool all) {
  if (name.empty() != all) {
    throw Refusal("name an address or an IP address, or say --all", "`vmailctl throttle show` tells who is counted.");
  }
  const auto cleared = tell_throttle(app, "clear", name).at("cleared").get<std::size_t>();
  app.output.done(
      cleared == 0 ? "No failed login counted against it." : fmt::format("{} counts have been cleared.", cleared),
      {{"cleared", cleared}});
  return 0;
}

}  // namespace vmail::sql
