#include "sql/vmailctl/change_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "shared/base/text.h"
#include "sql/vmailctl/password_file.h"
#include "sql/vmailctl/sql_texts.h"

namespace vmail::sql {
namespace {

constexpr const char* kHost = "localhost";
constexpr std::string_view kTables = "virtual_";
constexpr const char* kDefiner = "vmailkit-feed@localhost";  // as information_schema writes it

// A line "WATCH table kind name column...".
struct Watched {
  std::string table, kind, name, trigger, unchanged;
};

Watched parse_watched(const std::string& line) {
  const auto words = split(line, ' ');
  if (words.size() < 4 || words[1].substr(0, kTables.size()) != kTables) {
    throw std::runtime_error("feed.sql: not 'WATCH virtual_... kind name column...': " + line);
  }
  Watched watched{std::string(words[1]), std::string(words[2]), std::string(words[3]), {}, {}};
  watched.trigger = fmt::format("vmailkit_{}", words[1].substr(kTables.size()));
  for (std::size_t i = 3; i < words.size(); ++i) {
    const char* join = i == 3 ? "" : "\n      AND ";
    watched.unchanged += fmt::format("{}CAST(OLD.{} AS BINARY) <=> CAST(NEW.{} AS BINARY)", join, words[i], words[i]);
  }
  return watched;
}

// The text with `value` for each {name}.
std::string put(std::string text, std::string_view name, std::string_view value) {
  const std::string mark = fmt::format("{{{}}}", name);
  for (auto at = text.find(mark); at != text.npos; at = text.find(mark, at + value.size())) {
    text.replace(at, mark.size(), value);
  }
  return text;
}

std::string put(std::string text, const Watched& watched) {
  text = put(std::move(text), "trigger", watched.trigger);
  text = put(std::move(text), "table", watched.table);
  text = put(std::move(text), "kind", watched.kind);
  text = put(std::move(text), "name", watched.name);
  return put(std::move(text), "unchanged", watched.unchanged);
}

FeedObject parse_object(const std::string& text) {
  const auto bad = [&] { return std::runtime_error("feed.sql: neither trigger nor routine: " + text); };
  const auto body = text.find("\nBEGIN\n");
  if (body == std::string::npos || text.substr(0, 7) != "CREATE ") throw bad();
  const auto kind = text.find(' ', 7);
  const auto name = text.find_first_of(" (", kind + 1);
  if (kind == std::string::npos || name == std::string::npos || name > body) throw bad();
  return {text.substr(7, kind - 7), text.substr(kind + 1, name - kind - 1), text.substr(name, body - name),
          text.substr(body + 1)};
}

}  // namespace

std::vector<FeedObject> parse_feed(std::string_view text) {
  std::vector<std::string> statements(1);
  for (const auto& line : split(text, '\n')) {
    std::string& current = statements.back();
    if (line.substr(0, 2) == "--" || line.substr(0, 9) == "DELIMITER" || trim(line).empty()) continue;
    if (!current.empty()) current += '\n';
    current += line;
    if (!current.ends_with("//")) continue;
    current.resize(current.size() - 2);
    statements.emplace_back();
  }
  if (!statements.back().empty()) throw std::runtime_error("feed.sql: the last object has no '//'");
  statements.pop_back();

  std::vector<Watched> all;
  std::string tables;
  std::vector<FeedObject> objects;
  const auto add = [&](const std::string& statement) {
    FeedObject object = parse_object(statement);
    const auto same = std::find_if(objects.begin(), objects.end(),
                                   [&](const FeedObject& other) { return other.name == object.name; });
    if (same != objects.end()) {
      *same = std::move(object);
    } else {
      objects.push_back(std::move(object));
    }
  };
  for (auto& statement : statements) {
    if (statement.starts_with("WATCH ")) {
      all.push_back(parse_watched(statement));
      tables += fmt::format("{}'{}'", tables.empty() ? "" : ", ", all.back().table);
    } else if (statement.find("{table}") != std::string::npos) {
      for (const auto& watched : all) add(put(statement, watched));
    } else {
      add(put(put(statement, "tables", tables), "triggers", std::to_string(3 * all.size())));
    }
  }
  return objects;
}

ChangeFeed::ChangeFeed(mysql::Connection& connection, std::string database)
    : connection_(connection),
      database_(std::move(database)),
      objects_(parse_feed(feed_texts().front().text)),
      account_(feed_account()) {}

bool ChangeFeed::has_tables() {
  const auto found = connection_.run(
      "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"
      " AND table_name IN ('vmailkit_changes', 'vmailkit_feed')");
  return found.rows.at(0).at(0) == "2";
}

bool ChangeFeed::is_wanted() {
  const auto found = connection_.run("SELECT enable FROM vmailkit_feed");
  return found.rows.empty() || found.rows[0].at(0) == "1";
}

std::string ChangeFeed::account_name() {
  return connection_.quote(account_.user) + '@' + connection_.quote(kHost);
}

std::vector<const FeedObject*> ChangeFeed::missing() {
  const auto found = connection_.run(
      "SELECT 'TRIGGER', trigger_name, definer, action_statement,"
      " CONCAT(' ', action_timing, ' ', event_manipulation, ' ON ', event_object_table, ' FOR EACH ROW')"
      " FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
      " UNION ALL SELECT routine_type, routine_name, definer, routine_definition, NULL"
      " FROM information_schema.routines WHERE routine_schema = DATABASE()");
  std::vector<const FeedObject*> missing;
  for (const auto& object : objects_) {
    const bool there = std::any_of(found.rows.begin(), found.rows.end(), [&](const mysql::Row& row) {
      return row.at(0) == object.kind && row.at(1) == object.name && row.at(2) == kDefiner &&
             trim(row.at(3).value_or("")) == object.body && (!row.at(4) || row.at(4) == object.signature);
    });
    if (!there) missing.push_back(&object);
  }
  return missing;
}

FeedReport ChangeFeed::look() {
  FeedReport report;
  report.has_tables = has_tables();
  if (!report.has_tables) return report;
  report.wanted = is_wanted();
  const GrantCheck check = check_grants(connection_, database_, account_, kHost);
  const std::string name = fmt::format("'{}'@'{}'", account_.user, kHost);
  const auto triggers = connection_.query(
      "SELECT trigger_name, event_object_table FROM information_schema.triggers"
      " WHERE trigger_schema = DATABASE() AND definer = ?",
      std::vector<mysql::Value>{kDefiner});
  for (const auto& row : triggers.rows) {
    const std::string right = fmt::format("TRIGGER {}.{}", database_, row.at(1).value_or(""));
    const bool lacks = std::find(check.missing.begin(), check.missing.end(), right) != check.missing.end();
    report.writes_fail = report.writes_fail || !check.exists || lacks;
  }
  if (!report.wanted) {
    if (!triggers.rows.empty()) report.problems.push_back("the change feed is switched off, but has triggers");
    return report;
  }

  if (!check.exists) report.problems.push_back(fmt::format("there is no database user {}", name));
  for (const auto& right : check.missing) report.problems.push_back(fmt::format("{} lacks {}", name, right));
  for (const auto& right : check.extra) {
    report.problems.push_back(fmt::format("{} may do more than it should: {} (REVOKE it)", name, right));
  }
  if (check.exists) {
    const auto made = connection_.run("SHOW CREATE USER " + account_name());
    if (made.rows.at(0).at(0).value_or("").find("ACCOUNT LOCK") == std::string::npos) {
      report.problems.push_back(fmt::format("{} is not locked", name));
    }
  }
  for (const auto* object : missing()) {
    report.problems.push_back(
        fmt::format("{} {} is missing, or not as this version makes it", fold_case(object->kind), object->name));
  }
  const auto state =
      connection_.run("SELECT EXISTS (SELECT 1 FROM vmailkit_feed), EXISTS (SELECT 1 FROM vmailkit_changes)");
  if (state.rows.at(0).at(0) != "1") report.problems.push_back("the feed has not been set up");
  if (state.rows.at(0).at(1) != "1") report.problems.push_back("vmailkit_changes is empty");
  return report;
}

void ChangeFeed::make(const std::vector<Account>& daemons) {
  const FeedReport before = look();
  if (before.wanted && before.good()) return;
  // Nobody will ever log in with that password.
  connection_.run("CREATE USER IF NOT EXISTS " + account_name() + " IDENTIFIED BY " +
                  connection_.quote(random_password().text()) + " ACCOUNT LOCK");
  connection_.run("ALTER USER " + account_name() + " ACCOUNT LOCK");
  grant_missing(connection_, database_, account_, kHost);
  // The mode is kept with what is made. A table that somebody holds is given up for now, or all its readers and writers
  // would wait behind us.
  connection_.run("SET SESSION sql_mode = '', SESSION lock_wait_timeout = 30");
  const auto to_make = missing();
  for (const auto* object : to_make) {
    const std::string name = mysql::Connection::quote_identifier(object->name);
    connection_.run(fmt::format("DROP {} IF EXISTS {}", object->kind, name));
    connection_.run(fmt::format("CREATE DEFINER = {} {} {}{}\n{}", account_name(), object->kind, name,
                                object->signature, object->body));
  }
  grant_missing(connection_, database_, account_, kHost);
  if (connection_.run("SELECT 1 FROM vmailkit_changes LIMIT 1").rows.empty()) {
    connection_.run("INSERT INTO vmailkit_changes (kind) VALUES ('start')");
  }
  connection_.run(fmt::format("REPLACE INTO vmailkit_feed (id, identity, enable) VALUES (1, {}, 1)",
                              connection_.quote(random_password().text())));
  grant_missing(connection_, database_, daemons);
}

void ChangeFeed::remove() {
  // Its readers are to know before it goes.
  connection_.run("REPLACE INTO vmailkit_feed (id, identity, enable) VALUES (1, '', 0)");
  connection_.run("SET SESSION lock_wait_timeout = 30");
  const auto found = connection_.run(
      "SELECT 'TRIGGER', trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
      " UNION ALL SELECT routine_type, routine_name FROM information_schema.routines"
      " WHERE routine_schema = DATABASE()");
  // The triggers first: they call what is a routine. Nothing is dropped that is not there, which may need a right too.
  for (auto object = objects_.rbegin(); object != objects_.rend(); ++object) {
    const mysql::Row row = {object->kind, object->name};
    if (std::find(found.rows.begin(), found.rows.end(), row) == found.rows.end()) continue;
    connection_.run(fmt::format("DROP {} {}", object->kind, mysql::Connection::quote_identifier(object->name)));
  }
  const auto used = connection_.query(
      "SELECT 1 FROM information_schema.triggers WHERE definer = ?"
      " UNION ALL SELECT 1 FROM information_schema.routines WHERE definer = ?",
      std::vector<mysql::Value>{kDefiner, kDefiner});
  if (used.rows.empty()) connection_.run("DROP USER IF EXISTS " + account_name());
}

std::string explain(const mysql::Error& error) {
  switch (error.code()) {
    case 1419:
      return "the server writes a binary log, and then lets only an account with the privilege SUPER make or remove "
             "triggers (error 1419). Either name one in admin.database_user of vmailkit.toml; or let the server's "
             "administrator run `SET GLOBAL log_bin_trust_function_creators = 1`, then run `vmailctl schema feed on` "
             "(or off), and let that be set back to 0";
    case 1227:
      return fmt::format(
          "admin.database_user of vmailkit.toml may not make the account of the triggers, or triggers that belong to "
          "it: that needs CREATE USER, and SUPER or SET USER (MySQL: SET_USER_ID or SET_ANY_DEFINER). The server says: "
          "{}",
          error.what());
    default:
      return error.what();
  }
}

}  // namespace vmail::sql
