#include <fmt/format.h>

#include <algorithm>

#include "shared/config/config.h"
#include "shared/config/secret_file.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/feed_commands.h"
#include "sql/vmailctl/grants.h"
#include "sql/vmailctl/password_file.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/sql_texts.h"
#include "sql/vmailctl/upgrades.h"

namespace vmail::sql {
namespace {

const char* state_name(StepState state) {
  return state == StepState::Done ? "done" : state == StepState::Pending ? "pending" : "blocked";
}

bool all_done(const std::vector<StepReport>& reports) {
  return std::all_of(reports.begin(), reports.end(),
                     [](const auto& report) { return report.state == StepState::Done; });
}

Json as_json(const std::vector<StepReport>& reports) {
  Json list = Json::array();
  for (const auto& report : reports) {
    Json step = {{"version", report.version}, {"step", report.what}, {"state", state_name(report.state)}};
    if (!report.statement.empty()) step["statement"] = report.statement;
    if (report.stand_in) step["meanwhile"] = *report.stand_in;
    for (const auto& obstacle : report.obstacles) {
      step["in_the_way"].push_back({{"problem", obstacle.problem}, {"mend", obstacle.mend}});
    }
    list.push_back(std::move(step));
  }
  return list;
}

// What is not done, and for what stands in the way the statements that mend it.
void tell(const App& app, const std::vector<StepReport>& reports) {
  for (const auto& report : reports) {
    if (report.state == StepState::Done) continue;
    app.output.text(fmt::format("{:<8} {}: {}", state_name(report.state), report.version, report.what));
    if (report.stand_in) app.output.text(fmt::format("         meanwhile: {}", *report.stand_in));
    for (const auto& obstacle : report.obstacles) {
      app.output.text(fmt::format("         {}; to mend it:\n           {}", obstacle.problem, obstacle.mend));
    }
  }
}

void require_tables(const App& app, Upgrades& upgrades) {
  const auto tables = upgrades.tables();
  if (tables == Upgrades::Tables::All) return;
  const std::string& name = app.settings.database.name;
  if (tables == Upgrades::Tables::None) {
    throw Refusal(fmt::format("the database {} holds no mail tables", name),
                  "Is it the right one (database.name in vmailkit.toml)? To make them: vmailctl schema init");
  }
  throw Refusal(
      fmt::format("the database {} holds only some of virtual_domains, virtual_users and virtual_aliases", name),
      "Is it the right one (database.name in vmailkit.toml)? If an init was interrupted: vmailctl schema init");
}

void create_tables(const App& app, mysql::Connection& connection) {
  Upgrades upgrades(connection);
  const bool begun = upgrades.has_version_table() && upgrades.version() == 0;
  if (upgrades.tables() == Upgrades::Tables::All && !begun) {
    if (upgrades.version() > 0) return;
    throw Refusal(
        fmt::format("the database {} already holds mail tables, of an older schema", app.settings.database.name),
        "To bring them up to date, with all their rows: vmailctl schema upgrade; for the daemons' database users: "
        "vmailctl schema grants");
  }
  if (upgrades.tables() != Upgrades::Tables::None && !begun && upgrades.version() == 0) require_tables(app, upgrades);
  for (const auto& text : schema_texts()) {
    for (const auto& statement : split_statements(text.text)) connection.run(statement);
  }
}

// Of what an upgrade has made. False: the daemons may lack it, and why has been said.
bool grant_new(const App& app, mysql::Connection& connection) {
  try {
    grant_missing(connection, app.settings.database.name, accounts_of(app.settings));
    return true;
  } catch (const mysql::Error& error) {
    app.output.note(std::string("the daemons' database users did not get their rights to what is new: ") +
                    error.what());
    return false;
  }
}

Json grant_all(const App& app, mysql::Connection& connection, const std::vector<std::string>& hosts) {
  Json list = Json::array();
  for (const auto& account : accounts_of(app.settings)) {
    // The file first: interrupted in between, the next run gives the user what the file says.
    const PasswordFile file = ensure_password_file(account.password_file, account.owner);
    if (!file.remark.empty()) app.output.note(file.remark);
    for (const auto& host : hosts) {
      repair_account(connection, app.settings.database.name, account, host, file.password.text());
      list.push_back({{"user", fmt::format("{}@{}", account.user, host)},
                      {"password_file", account.password_file},
                      {"password", file.made ? "made" : "kept"}});
    }
  }
  return list;
}

const std::vector<Column> kGrantColumns = {
    {"user", "DATABASE USER"}, {"password_file", "PASSWORD FILE"}, {"password", "PASSWORD"}};

// What is wrong with the accounts and their files, and whether each can log in and read.
std::vector<std::string> account_problems(const App& app, mysql::Connection& connection,
                                          const std::vector<std::string>& hosts) {
  std::vector<std::string> problems;
  for (const auto& account : accounts_of(app.settings)) {
    for (const auto& host : hosts) {
      const GrantCheck check = check_grants(connection, app.settings.database.name, account, host);
      const std::string name = fmt::format("'{}'@'{}'", account.user, host);
      if (!check.exists) problems.push_back(fmt::format("there is no database user {}", name));
      for (const auto& missing : check.missing) problems.push_back(fmt::format("{} lacks {}", name, missing));
      for (const auto& extra : check.extra)
        problems.push_back(fmt::format("{} may do more than it should: {}", name, extra));
    }
    const std::string why = why_not_a_password_file(account.password_file, account.owner);
    if (!why.empty()) {
      problems.push_back(why);
      continue;
    }
    try {
      const std::string credential = account.section + ".password";
      mysql::open_any(
          mysql::options_from(app.settings, account.user, config::read_secret(credential, account.password_file)));
    } catch (const mysql::Error& error) {
      problems.push_back(fmt::format("with the password in {}: {}", account.password_file, error.what()));
    }
  }
  return problems;
}

mysql::Options admin_options(const App& app) {
  const auto& admin = app.settings.admin;
  Secret password;
  if (!admin.database_password_file.empty()) {
    password = config::read_secret("admin.password", admin.database_password_file);
  }
  return mysql::options_from(app.settings, admin.database_user, std::move(password));
}

}  // namespace

std::unique_ptr<mysql::Connection> connect(const App& app) {
  return mysql::open_any(admin_options(app));
}

std::unique_ptr<mysql::Connection> connect_to_server(const App& app) {
  auto options = admin_options(app);
  options.database.clear();
  return mysql::open_any(options);
}

std::unique_ptr<mysql::Connection> connect_within(const App& app, std::chrono::seconds patience) {
  auto options = admin_options(app);
  options.connect_timeout = std::min<std::chrono::milliseconds>(options.connect_timeout, patience);
  options.read_timeout = patience;
  return mysql::open_any(options);
}

int schema_init(const App& app, const std::string& from) {
  const auto hosts = hosts_of(app.settings, from);
  const auto connection = connect_to_server(app);
  const std::string name = mysql::Connection::quote_identifier(app.settings.database.name);
  connection->run("CREATE DATABASE IF NOT EXISTS " + name + " CHARACTER SET utf8mb3");
  connection->run("USE " + name);
  const SchemaLock lock(*connection);
  create_tables(app, *connection);
  Upgrades upgrades(*connection);
  upgrades.run([](const StepReport&) {});  // nothing, unless this program is newer than the tables
  const FeedReport feed = ensure_feed(app, *connection);
  const Json users = grant_all(app, *connection, hosts);
  app.output.text(
      fmt::format("The database {} is ready, schema version {}.", app.settings.database.name, upgrades.version()));
  tell_feed(app, feed);
  if (app.output.json()) {
    app.output.object({{"database", app.settings.database.name},
                       {"version", upgrades.version()},
                       {"feed", as_json(feed)},
                       {"users", users}});
  } else {
    app.output.table(kGrantColumns, users);
  }
  return 0;
}

int schema_status(const App& app) {
  const auto connection = connect(app);
  Upgrades upgrades(*connection);
  require_tables(app, upgrades);
  const auto reports = upgrades.look();
  const FeedReport feed = ChangeFeed(*connection, app.settings.database.name).look();
  const bool steps_good = all_done(reports);
  const bool good = steps_good && feed.good();
  const int version = upgrades.version();
  app.output.text(fmt::format("The database {} has schema version {} of {}.", app.settings.database.name, version,
                              Upgrades::newest_version()));
  if (version > Upgrades::newest_version()) app.output.note("the schema is newer than this program");
  tell(app, reports);
  if (!steps_good) app.output.text("vmailctl schema upgrade does what is pending, and tries again what was blocked.");
  tell_feed(app, feed);
  app.output.object({{"database", app.settings.database.name},
                     {"version", version},
                     {"newest", Upgrades::newest_version()},
                     {"good", good},
                     {"steps", as_json(reports)},
                     {"feed", as_json(feed)}});
  return good ? 0 : 1;
}

int schema_upgrade(const App& app, bool dry_run) {
  const auto connection = connect(app);
  Upgrades upgrades(*connection);
  require_tables(app, upgrades);
  const int before = upgrades.version();
  int told = 0;
  const auto announce = [&](const StepReport& report) {
    for (const auto& file : upgrades.files()) {
      if (file.version != report.version || told == file.version) continue;
      app.output.text(
          fmt::format("Version {}: {}. Daemons of the version before: {}.", file.version, file.what, file.old_daemons));
      told = file.version;
    }
    app.output.text("  " + (report.stand_in ? *report.stand_in : report.what));
  };

  std::vector<StepReport> reports;
  FeedReport feed;
  bool granted = true;
  if (dry_run) {
    reports = upgrades.look();
    feed = ChangeFeed(*connection, app.settings.database.name).look();
    for (const auto& report : reports) {
      if (report.statement.empty()) continue;
      announce(report);
      app.output.text(report.statement + ";");
    }
    if (!feed.has_tables || (feed.wanted && !feed.good())) {
      app.output.text("And the triggers of the change feed, as `vmailctl schema feed on` makes them.");
    }
  } else {
    const SchemaLock lock(*connection);
    reports = upgrades.run(announce);
    granted = grant_new(app, *connection);
    feed = ensure_feed(app, *connection);
  }
  const bool blocked = std::any_of(reports.begin(), reports.end(),
                                   [](const auto& report) { return report.state == StepState::Blocked; });
  if (dry_run) {
    app.output.text(all_done(reports) && feed.good() ? "Nothing to do." : "Nothing was changed (--dry-run).");
  } else {
    app.output.text(
        fmt::format("The database {} has schema version {}.", app.settings.database.name, upgrades.version()));
  }
  if (blocked) {
    app.output.text("Rows stand in the way of the following; mend them, then run `vmailctl schema upgrade` again.");
    std::vector<StepReport> blocked_only;
    std::copy_if(reports.begin(), reports.end(), std::back_inserter(blocked_only),
                 [](const auto& report) { return report.state == StepState::Blocked; });
    tell(app, blocked_only);
  }
  if (!dry_run) tell_feed(app, feed);
  if (!granted) app.output.text("To give the daemons' database users their rights: vmailctl schema grants");
  app.output.object({{"database", app.settings.database.name},
                     {"dry_run", dry_run},
                     {"before", before},
                     {"version", upgrades.version()},
                     {"steps", as_json(reports)},
                     {"feed", as_json(feed)}});
  return blocked || !granted || (!dry_run && !feed.good()) ? 1 : 0;
}

int schema_verify(const App& app, const std::string& from) {
  const auto hosts = hosts_of(app.settings, from);
  const auto connection = connect(app);
  Upgrades upgrades(*connection);
  require_tables(app, upgrades);
  const auto reports = upgrades.look();
  const bool schema_good = all_done(reports);
  const auto problems = account_problems(app, *connection, hosts);
  const FeedReport feed = ChangeFeed(*connection, app.settings.database.name).look();
  tell(app, reports);
  if (!schema_good) app.output.text("To mend the schema: vmailctl schema upgrade");
  for (const auto& problem : problems) app.output.text(problem);
  if (!problems.empty()) app.output.text("To mend users, rights and password files: vmailctl schema grants");
  tell_feed(app, feed);
  const bool good = schema_good && problems.empty() && feed.good();
  if (good)
    app.output.text("All tables, columns, indexes, database users, rights and password files are as they should be.");
  app.output.object({{"good", good}, {"steps", as_json(reports)}, {"problems", problems}, {"feed", as_json(feed)}});
  return good ? 0 : 1;
}

int schema_print(const App& app) {
  for (const auto& text : schema_texts()) {
    app.output.text(std::string(text.text));
    app.output.object({{"version", Upgrades::newest_version()}, {"sql", text.text}});
  }
  return 0;
}

int schema_grants(const App& app, const std::string& from) {
  const auto hosts = hosts_of(app.settings, from);
  const auto connection = connect(app);
  Upgrades upgrades(*connection);
  require_tables(app, upgrades);
  if (upgrades.version() < Upgrades::newest_version()) {
    throw Refusal("this database still has an older schema, which lacks columns that the daemons read",
                  "Run `vmailctl schema upgrade` first.");
  }
  // The account of its triggers is one of the users that a database from another server comes without.
  const SchemaLock lock(*connection);
  const FeedReport feed = ensure_feed(app, *connection);
  app.output.table(kGrantColumns, grant_all(app, *connection, hosts));
  if (!feed.good()) tell_feed(app, feed);
  return 0;
}

}  // namespace vmail::sql
