#include <fmt/format.h>

#include <ctime>

#include "sql/vmailctl/app.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/reports.h"

namespace vmail::sql {
namespace {

using nlohmann::json;

std::uint64_t count_at(const json& status, const char* section, const char* key) {
  return static_cast<std::uint64_t>(number_at(status, section, key));
}

// "3 min ago", or "never".
std::string ago(const json& status, const char* section, const char* key) {
  const auto time = static_cast<std::int64_t>(number_at(status, section, key));
  return time == 0 ? "never" : age_text(std::time(nullptr) - time) + " ago";
}

std::string since(const json& status, const char* section) {
  const auto time = static_cast<std::int64_t>(number_at(status, section, "since"));
  return time == 0 ? "" : " for " + age_text(std::time(nullptr) - time);
}

std::string version(const json& status) {
  const auto at = status.find("version");
  return at != status.end() && at->is_string() ? at->get<std::string>() : "";
}

std::string plain_number(const json& status, const char* key) {
  const auto at = status.find(key);
  return at != status.end() && at->is_number() ? at->dump() : "";
}

std::string uptime(const json& status) {
  const auto at = status.find("uptime");
  return at != status.end() && at->is_number() ? age_text(at->get<std::int64_t>()) : "";
}

std::string database(const json& status) {
  if (!flag_at(status, "database", "answers")) return "does not answer" + since(status, "database");
  return "answers, " + text_at(status, "database", "host");
}

std::string answers(const json& status) {
  return flag_at(status, "stale", "serving") ? "STALE" + since(status, "stale") : "fresh";
}

std::string feed(const json& status) {
  const std::string state = text_at(status, "feed", "state");
  if (state != "followed") return state;
  return fmt::format("followed, {:.1f} s behind", number_at(status, "feed", "lag"));
}

std::string preload(const json& status) {
  const std::string state = text_at(status, "preload", "state");
  if (state == "loaded") {
    return fmt::format("{} rows, {}, read {}", count_at(status, "preload", "rows"),
                       size_text(number_at(status, "preload", "bytes")), ago(status, "preload", "read"));
  }
  const std::string reason = text_at(status, "preload", "reason");
  return reason.empty() ? state : state + ": " + reason;
}

std::string domains(const json& status) {
  return fmt::format("{}, read {}", count_at(status, "domains", "count"), ago(status, "domains", "read"));
}

std::string guard(const json& status) {
  return flag_at(status, "guard", "tripped") ? "HOLDS" + since(status, "guard") : "good";
}

std::string cache(const json& status) {
  return fmt::format("{} rows, {} of {}", count_at(status, "cache", "entries"),
                     size_text(number_at(status, "cache", "bytes")), size_text(number_at(status, "cache", "limit")));
}

std::string snapshot(const json& status) {
  return text_at(status, "snapshot", "error").empty() ? ago(status, "snapshot", "written") : "FAILED";
}

// What waits: for a worker of the database, and the component's own queues.
std::string queues(const json& status) {
  std::string all = fmt::format("database {}", count_at(status, "pool", "waiting"));
  const auto own = status.find("queues");
  if (own == status.end() || !own->is_object()) return all;
  for (const auto& [name, waiting] : own->items()) all += ", " + name + ' ' + waiting.dump();
  return all;
}

Line counted(const char* title, const char* section, const char* key) {
  return {title, [section, key](const json& status) { return std::to_string(count_at(status, section, key)); }};
}

// Of all answers, those that took no waiting.
std::string share_from_memory(const json& status) {
  const double memory = number_at(status, "answers", "memory") + number_at(status, "answers", "stale");
  const double all = memory + number_at(status, "answers", "database") + number_at(status, "answers", "failed");
  return all > 0 ? fmt::format("{:.1f} %", 100 * memory / all) : "";
}

int exit_status(Level level) {
  return static_cast<int>(level);
}

// Sends a request to each daemon that runs; `told` is called for each that answered. 0 when at least one did and none
// failed to.
int tell_each(const App& app, const std::string& only, const json& request,
              const std::function<void(const Daemon&, const json&)>& told) {
  bool any = false, failed = false;
  for (const auto& daemon : daemons_of(app.settings, only)) {
    const Reply reply = ask(daemon, request);
    switch (reply.state) {
      case Reply::State::Answered:
        any = true;
        told(daemon, reply.value);
        break;
      case Reply::State::NotRunning:
        app.output.note(daemon.program + " does not run");
        break;
      case Reply::State::NotPermitted:
        throw Refusal(reply.error, "Run vmailctl as root.");
      case Reply::State::Refused:
      case Reply::State::Stuck:
        failed = true;
        app.output.note(daemon.program + ": " + reply.error);
        break;
    }
  }
  return any && !failed ? 0 : 1;
}

}  // namespace

int status(const App& app, const std::string& only) {
  const auto reports = collect_reports(app, only);
  tell_reports(app, reports,
               {{"Version", version},
                {"Uptime", uptime},
                {"Connections", [](const json& status) { return plain_number(status, "connections"); }},
                {"Database", database},
                {"Answers", answers},
                {"Change feed", feed},
                {"Domains", domains},
                {"Preload", preload},
                {"Cache", cache},
                {"Guard", guard},
                {"Snapshot", snapshot},
                {"Queues", queues}});
  return exit_status(level_of(reports));
}

int cache_stats(const App& app, const std::string& only, bool check) {
  const auto reports = collect_reports(app, only);
  tell_reports(app, reports,
               {{"Answers", answers},
                counted("  from memory", "answers", "memory"),
                counted("  stale", "answers", "stale"),
                counted("  from the database", "answers", "database"),
                counted("  failed", "answers", "failed"),
                {"  share of memory", share_from_memory},
                {"Cache", cache},
                counted("  evicted", "cache", "evicted"),
                counted("  credentials", "cache", "credentials"),
                {"Preload", preload},
                {"Domains", domains},
                {"Guard", guard},
                {"Change feed", feed},
                counted("  changes", "feed", "changes"),
                counted("  gaps", "feed", "gaps"),
                counted("  position", "feed", "position"),
                {"Database", database},
                counted("  questions", "pool", "asked"),
                counted("  failed", "pool", "failed"),
                counted("  past deadline", "pool", "orphaned"),
                counted("  too many", "pool", "refused"),
                {"Snapshot", snapshot}});
  if (check) return exit_status(level_of(reports));
  for (const auto& report : reports) {
    if (report.reply.state == Reply::State::Answered) return 0;
  }
  return 1;
}

int cache_show(const App& app, const std::string& only, const std::string& text) {
  const std::string key = alias_key(text);
  Json rows = Json::array();
  const std::int64_t now = std::time(nullptr);
  const int status =
      tell_each(app, only, {{"command", "show"}, {"key", key}}, [&](const Daemon& daemon, const json& shown) {
        for (const auto& row : shown.value("rows", json::array())) {
          Json line = {{"program", daemon.program}};
          for (const auto& [name, value] : row.items()) line[name] = Json(value);
          line["domain"] = shown.value("domain", "");
          if (!app.output.json()) {
            const bool known = row.value("known", false);
            const auto read = row.value("read", std::int64_t{0});
            line["read"] = known && read != 0 ? age_text(now - read) + " ago" : "";
            if (!known) line["mailbox"] = line["destinations"] = line["expired"] = nullptr;
          }
          rows.push_back(std::move(line));
        }
      });
  app.output.table({{"program", "DAEMON"},
                    {"key", "KEY"},
                    {"domain", "DOMAIN"},
                    {"known", "KNOWN"},
                    {"mailbox", "MAILBOX"},
                    {"destinations", "DESTINATIONS"},
                    {"read", "READ"},
                    {"expired", "EXPIRED"},
                    {"from", "FROM"}},
                   rows);
  return status;
}

int cache_flush(const App& app, const std::string& only, const std::vector<std::string>& texts, bool all) {
  if (all != texts.empty()) {
    throw Refusal("say what to read anew: addresses, @DOMAIN, or --all", "Example: vmailctl cache flush @example.org");
  }
  std::vector<std::string> keys;
  for (const auto& text : texts) keys.push_back(alias_key(text));
  Json programs = Json::array();
  const int status =
      tell_each(app, only, {{"command", "flush"}, {"keys", keys}}, [&](const Daemon& daemon, const json&) {
        programs.push_back(daemon.program);
        app.output.text(fmt::format("{} reads {} anew.", daemon.program,
                                    all ? "everything" : fmt::format("{}", fmt::join(keys, ", "))));
      });
  app.output.object({{"flushed", programs}, {"keys", keys}});
  return status;
}

int cache_confirm(const App& app, const std::string& only) {
  Json programs = Json::array();
  const int status = tell_each(app, only, {{"command", "confirm"}}, [&](const Daemon& daemon, const json& reply) {
    const bool tripped = reply.value("was_tripped", false);
    programs.push_back({{"program", daemon.program}, {"was_tripped", tripped}});
    app.output.text(daemon.program + (tripped ? ": the guard holds no longer; the next reading is believed."
                                              : ": the guard did not hold."));
  });
  app.output.object({{"confirmed", programs}});
  return status;
}

int log_level(const App& app, const std::string& only, const std::string& level) {
  json request = {{"command", "log-level"}};
  if (!level.empty()) request["level"] = level;
  Json rows = Json::array();
  const int status = tell_each(app, only, request, [&](const Daemon& daemon, const json& reply) {
    rows.push_back({{"program", daemon.program}, {"level", reply.value("level", "")}});
  });
  app.output.table({{"program", "DAEMON"}, {"level", "LEVEL"}}, rows);
  return status;
}

}  // namespace vmail::sql
