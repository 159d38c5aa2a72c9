#include "sql/vmailctl/grants.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <stdexcept>

#include "shared/base/text.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/sql_texts.h"
#include "sql/vmailctl/upgrade_file.h"

namespace vmail::sql {
namespace {

bool eat(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool is_word(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

std::string_view eat_word(std::string_view& text) {
  const auto end = std::min(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

Grant parse_grant(std::string_view file_name, std::string_view statement) {
  const auto bad = [&] {
    return std::runtime_error(fmt::format("{}: not of the shape that grants have: {}", file_name, statement));
  };
  std::string_view rest = statement;
  if (!eat(rest, "GRANT ")) throw bad();
  Grant grant;
  grant.privilege = eat_word(rest);
  if (grant.privilege == "SELECT" || grant.privilege == "INSERT" || grant.privilege == "UPDATE") {
    const auto close = rest.find(')');
    if (!eat(rest, " (") || close == std::string_view::npos) throw bad();
    for (const auto& column : split(rest.substr(0, close - 2), ',')) {
      if (!is_word(trim(column)) || !grant.columns.emplace(trim(column)).second) throw bad();
    }
    rest.remove_prefix(close - 1);
  } else if (grant.privilege != "TRIGGER" && grant.privilege != "DELETE" && grant.privilege != "EXECUTE") {
    throw bad();
  }
  if (!eat(rest, " ON ")) throw bad();
  if (eat(rest, "FUNCTION ")) grant.on = Grant::On::Function;
  if (eat(rest, "PROCEDURE ")) grant.on = Grant::On::Procedure;
  if ((grant.on == Grant::On::Table) == (grant.privilege == "EXECUTE")) throw bad();
  const auto space = rest.find(' ');
  if (!eat(rest, "mailserver.") || space == std::string_view::npos) throw bad();
  grant.object = rest.substr(0, space - std::string_view("mailserver.").size());
  if (!is_word(grant.object)) throw bad();
  rest.remove_prefix(grant.object.size());
  if (!eat(rest, " TO 'vmailkit-") || rest.size() < 14 || rest.substr(rest.size() - 13) != "'@'localhost'") throw bad();
  return grant;
}

std::string account_name(mysql::Connection& connection, const Account& account, const std::string& host) {
  return connection.quote(account.user) + '@' + connection.quote(host);
}

std::string grant_statement(mysql::Connection& connection, const std::string& database, const std::string& name,
                            const Grant& grant) {
  std::string columns;
  for (const auto& column : grant.columns) {
    columns += (columns.empty() ? " (" : ", ") + connection.quote_identifier(column);
  }
  if (!columns.empty()) columns += ')';
  const char* const on = grant.on == Grant::On::Function    ? "FUNCTION "
                         : grant.on == Grant::On::Procedure ? "PROCEDURE "
                                                            : "";
  return fmt::format("GRANT {}{} ON {}{}.{} TO {}", grant.privilege, columns, on, connection.quote_identifier(database),
                     connection.quote_identifier(grant.object), name);
}

// As check_grants() writes them.
std::set<std::string> lines_of(const std::string& database, const Grant& grant) {
  const std::string object = fmt::format("{} {}.{}", grant.privilege, database, grant.object);
  if (grant.columns.empty()) return {object};
  std::set<std::string> lines;
  for (const auto& column : grant.columns) lines.insert(object + '.' + column);
  return lines;
}

bool is_ours(std::string_view table) {
  return table.starts_with("virtual_") || table.starts_with("vmailkit_");
}

std::set<std::string> routines_of(mysql::Connection& connection, const std::string& database) {
  const mysql::Value parameters[] = {database};
  std::set<std::string> names;
  for (const auto& row :
       connection.query("SELECT routine_name FROM information_schema.routines WHERE routine_schema = ?", parameters)
           .rows) {
    names.insert(row.at(0).value_or(""));
  }
  return names;
}

std::vector<Grant> grants_of(std::string_view section) {
  for (const auto& text : grant_texts()) {
    if (text.name == std::string(section) + ".sql") return parse_grants(text.name, text.text);
  }
  throw std::logic_error("there are no such grants");
}

}  // namespace

std::vector<Grant> parse_grants(std::string_view file_name, std::string_view text) {
  std::vector<Grant> grants;
  for (const auto& statement : split_statements(text)) grants.push_back(parse_grant(file_name, statement));
  if (grants.empty()) throw std::runtime_error(fmt::format("{}: no grant in it", file_name));
  return grants;
}

std::vector<Account> accounts_of(const config::Settings& settings) {
  std::vector<Account> accounts = {
      {"maps", settings.maps.database_user, settings.maps.database_password_file, "vmailkit", {}},
      {"auth", settings.auth.database_user, settings.auth.database_password_file, "vmailkit-auth", {}},
      {"store", settings.store.database_user, settings.store.database_password_file, settings.mailboxes.owner, {}},
  };
  for (auto& account : accounts) account.grants = grants_of(account.section);
  const auto add = [&](bool wanted, const char* feature) {
    if (!wanted) return;
    for (auto& grant : grants_of(feature)) accounts[1].grants.push_back(std::move(grant));
  };
  add(settings.passwords.rehash, "auth-rehash");
  add(settings.passwords.capture_scram, "auth-scram");
  accounts.front().own_maps = !settings.maps.query.empty();
  return accounts;
}

Account feed_account() {
  return {"feed", "vmailkit-feed", "", "", grants_of("feed"), true};
}

std::vector<std::string> hosts_of(const config::Settings& settings, const std::string& from) {
  if (!from.empty()) return {from};
  std::vector<std::string> hosts = {"localhost"};
  for (const auto& text : settings.database.hosts) {
    const mysql::Host host = mysql::parse_host(text);
    if (!host.socket.empty()) continue;
    if (host.name != "localhost" && host.name != "127.0.0.1" && host.name != "::1") {
      throw Refusal(
          fmt::format("the database host {} is another machine, which sees ours under a name or address of its own",
                      host.text()),
          "Name it as the database will see it, for example: --from 192.0.2.10 (or --from '192.0.2.%').");
    }
    if (hosts.size() == 1) hosts.insert(hosts.end(), {"127.0.0.1", "::1"});
  }
  return hosts;
}

GrantCheck check_grants(mysql::Connection& connection, const std::string& database, const Account& account,
                        const std::string& host) {
  GrantCheck check;
  // How information_schema writes an account: 'user'@'host', with the quotes but unescaped.
  const mysql::Value grantee = fmt::format("'{}'@'{}'", account.user, host);
  const mysql::Value known[] = {grantee};
  if (connection.query("SELECT 1 FROM information_schema.user_privileges WHERE grantee = ?", known).rows.empty()) {
    check.exists = false;
    return check;
  }

  const std::set<std::string> routines = routines_of(connection, database);
  std::set<std::string> wanted, without_routine;
  for (const auto& grant : account.grants) {
    const bool there = grant.on == Grant::On::Table || routines.count(grant.object) > 0;
    (there ? wanted : without_routine).merge(lines_of(database, grant));
  }
  std::set<std::string> found;
  const auto collect = [&](const std::string& sql, std::span<const mysql::Value> parameters) {
    for (const auto& row : connection.query(sql, parameters).rows) {
      if (account.of_server && row.size() > 1 && row[1] != database) continue;
      if (account.own_maps && row[0] == "SELECT" && row.size() > 2 &&
          (row[1] != database || !is_ours(row[2].value()))) {
        check.own.push_back({row[1].value(), row[2].value(), row.size() > 3 ? row[3].value() : ""});
        continue;
      }
      std::string line = row.at(0).value_or("");
      for (std::size_t i = 1; i < row.size(); ++i) line += (i == 1 ? ' ' : '.') + row[i].value_or("");
      if (without_routine.count(line) == 0) found.insert(std::move(line));
    }
  };
  collect(
      "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = ? AND privilege_type <> 'USAGE'",
      known);
  collect(
      "SELECT privilege_type, table_schema FROM information_schema.schema_privileges"
      " WHERE grantee = ? AND privilege_type <> 'USAGE'",
      known);
  collect(
      "SELECT privilege_type, table_schema, table_name FROM information_schema.table_privileges"
      " WHERE grantee = ? AND privilege_type <> 'USAGE'",
      known);
  collect(
      "SELECT privilege_type, table_schema, table_name, column_name FROM information_schema.column_privileges"
      " WHERE grantee = ?",
      known);
  // information_schema knows nothing of rights to routines.
  const mysql::Value user_and_host[] = {account.user, host};
  collect("SELECT UPPER(proc_priv), db, routine_name FROM mysql.procs_priv WHERE user = ? AND host = ?", user_and_host);
  std::set_difference(wanted.begin(), wanted.end(), found.begin(), found.end(), std::back_inserter(check.missing));
  std::set_difference(found.begin(), found.end(), wanted.begin(), wanted.end(), std::back_inserter(check.extra));
  return check;
}

void repair_account(mysql::Connection& connection, const std::string& database, const Account& account,
                    const std::string& host, const std::string& password) {
  const std::string name = account_name(connection, account, host);
  const std::string identified = " IDENTIFIED BY " + connection.quote(password);
  connection.run("CREATE USER IF NOT EXISTS " + name + identified);
  connection.run("ALTER USER " + name + identified);
  const GrantCheck before = check_grants(connection, database, account, host);
  if (!before.extra.empty()) {
    connection.run("REVOKE ALL PRIVILEGES, GRANT OPTION FROM " + name);
    for (const auto& own : before.own) {
      const Grant grant{"SELECT", Grant::On::Table, own.table,
                        own.column.empty() ? std::set<std::string>{} : std::set<std::string>{own.column}};
      connection.run(grant_statement(connection, own.schema, name, grant));
    }
  }
  grant_missing(connection, database, account, host);
}

void grant_missing(mysql::Connection& connection, const std::string& database, const Account& account,
                   const std::string& host) {
  const auto missing = check_grants(connection, database, account, host).missing;
  for (const auto& grant : account.grants) {
    const auto lines = lines_of(database, grant);
    const bool lacks =
        std::any_of(missing.begin(), missing.end(), [&](const auto& line) { return lines.count(line) > 0; });
    if (lacks) connection.run(grant_statement(connection, database, account_name(connection, account, host), grant));
  }
}

void grant_missing(mysql::Connection& connection, const std::string& database, const std::vector<Account>& accounts) {
  for (const auto& account : accounts) {
    const mysql::Value user[] = {account.user};
    for (const auto& row : connection.query("SELECT host FROM mysql.user WHERE user = ?", user).rows) {
      grant_missing(connection, database, account, row.at(0).value_or(""));
    }
  }
}

}  // namespace vmail::sql
