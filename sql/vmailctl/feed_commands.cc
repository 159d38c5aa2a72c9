#include "sql/vmailctl/feed_commands.h"

#include <fmt/format.h>

#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/upgrades.h"

namespace vmail::sql {

FeedReport ensure_feed(const App& app, mysql::Connection& connection) {
  ChangeFeed feed(connection, app.settings.database.name);
  FeedReport report = feed.look();
  if (!report.wanted || report.good()) return report;
  try {
    feed.make(accounts_of(app.settings));
  } catch (const mysql::Error& error) {
    app.output.note("the change feed was not made: " + explain(error));
  }
  return feed.look();
}

void tell_feed(const App& app, const FeedReport& report) {
  if (!report.has_tables) return;
  if (report.good()) {
    app.output.text(report.wanted ? "The change feed is on: daemons see a change within two seconds."
                                  : "The change feed is switched off: daemons see a change as lifetimes end.");
    return;
  }
  if (report.writes_fail) {
    app.output.text(
        "EVERY WRITE TO THE MAIL TABLES FAILS (error 1449 or 1142): their triggers belong to an account that is "
        "missing "
        "here or lacks rights, as after a dump was read into another server.");
  }
  app.output.text("There is no change feed; daemons see a change as lifetimes end:");
  for (const auto& problem : report.problems) app.output.text("  " + problem);
  app.output.text(report.wanted ? "To mend it: vmailctl schema feed on (or do without: vmailctl schema feed off)"
                                : "To mend it: vmailctl schema feed off (or have it: vmailctl schema feed on)");
}

Json as_json(const FeedReport& report) {
  return {{"wanted", report.wanted},
          {"good", report.good()},
          {"writes_fail", report.writes_fail},
          {"problems", report.problems}};
}

int schema_feed(const App& app, bool on) {
  const auto connection = connect(app);
  const SchemaLock lock(*connection);
  ChangeFeed feed(*connection, app.settings.database.name);
  if (!feed.look().has_tables) {
    throw Refusal("this database still has an older schema, without the tables of the change feed",
                  "Run `vmailctl schema upgrade` first.");
  }
  try {
    on ? feed.make(accounts_of(app.settings)) : feed.remove();
  } catch (const mysql::Error& error) {
    throw Refusal(
        std::string(on ? "the change feed was not made: " : "the change feed was not removed: ") + explain(error),
        on ? "All works without it; changes are then seen as lifetimes end (vmailctl schema feed off)." : "");
  }
  const FeedReport report = feed.look();
  tell_feed(app, report);
  app.output.object(as_json(report));
  return report.good() ? 0 : 1;
}

}  // namespace vmail::sql
