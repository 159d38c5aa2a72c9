#include "shared/directory/control.h"

#include <nlohmann/json.hpp>

#include "shared/directory/stats.h"

namespace vmail::directory {
namespace {

// Seconds since the epoch; 0: never.
std::int64_t unix_time(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

nlohmann::json to_json(const Stats& stats) {
  const auto& database = stats.database;
  const double lag = std::chrono::duration<double>(stats.feed.lag).count();
  return {
      {"database",
       {{"answers", database.answers},
        {"since", unix_time(database.since)},
        {"host", database.host},
        {"last_failure", database.last_failure}}},
      {"pool",
       {{"asked", database.asked},
        {"failed", database.failed},
        {"orphaned", database.orphaned},
        {"refused", database.refused},
        {"waiting", database.waiting}}},
      {"feed",
       {{"state", stats.feed.state},
        {"reason", stats.feed.reason},
        {"lag", lag},
        {"position", stats.feed.position},
        {"gaps", stats.feed.gaps},
        {"changes", stats.feed.changes}}},
      {"stale",
       {{"serving", stats.stale.serving}, {"since", unix_time(stats.stale.since)}, {"answers", stats.stale.answers}}},
      {"guard",
       {{"tripped", stats.guard.tripped}, {"since", unix_time(stats.guard.since)}, {"what", stats.guard.what}}},
      {"cache",
       {{"entries", stats.cache.entries},
        {"bytes", stats.cache.bytes},
        {"limit", stats.cache.limit},
        {"evicted", stats.cache.evicted},
        {"credentials", stats.cache.credentials}}},
      {"answers",
       {{"memory", stats.answers.memory},
        {"stale", stats.answers.stale},
        {"database", stats.answers.database},
        {"failed", stats.answers.failed}}},
      {"preload",
       {{"state", stats.preload.state},
        {"reason", stats.preload.reason},
        {"rows", stats.preload.rows},
        {"bytes", stats.preload.bytes},
        {"read", unix_time(stats.preload.read)}}},
      {"domains",
       {{"count", stats.domains.count}, {"rules", stats.domains.rules}, {"read", unix_time(stats.domains.read)}}},
      {"snapshot", {{"written", unix_time(stats.snapshot.written)}, {"error", stats.snapshot.error}}},
  };
}

const char* kind_text(const std::optional<DomainKind>& kind) {
  if (!kind) return "";
  switch (*kind) {
    case DomainKind::Own:
      return "own";
    case DomainKind::Relay:
      return "relay";
    case DomainKind::Alias:
      break;
  }
  return "alias";
}

nlohmann::json to_json(const Shown& shown) {
  constexpr const char* kMailbox[] = {"none", "on", "off"};
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& row : shown.rows) {
    nlohmann::json destinations = nlohmann::json::array();
    for (const auto destination : row.row.destinations) destinations.push_back(std::string(destination));
    rows.push_back({{"key", row.key},
                    {"known", row.known},
                    {"mailbox", kMailbox[static_cast<std::size_t>(row.row.mailbox)]},
                    {"destinations", std::move(destinations)},
                    {"aliases_off", row.row.aliases_off},
                    {"fault", row.row.fault},
                    {"read", unix_time(row.read)},
                    {"expired", row.expired},
                    {"from", !row.known      ? ""
                             : row.preloaded ? "preload"
                                             : "cache"}});
  }
  return {{"domain", kind_text(shown.domain)}, {"rows", std::move(rows)}};
}

}  // namespace

std::optional<nlohmann::json> answer_control(Directory& directory, const nlohmann::json& request) {
  const auto command = request.value("command", "");
  if (command == "status") return to_json(directory.stats());
  if (command == "show") return to_json(directory.show(request.at("key").get<std::string>()));
  if (command == "confirm") return nlohmann::json{{"ok", true}, {"was_tripped", directory.confirm()}};
  if (command == "flush") {
    directory.flush(request.value("keys", std::vector<std::string>()));
    return nlohmann::json{{"ok", true}};
  }
  return std::nullopt;
}

void add_metrics(const Directory& directory, metrics::Registry& registry) {
  registry.collect([&directory](metrics::Samples& samples) { add_samples(directory.stats(), samples); });
}

}  // namespace vmail::directory
