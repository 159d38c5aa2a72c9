#include "sql/vmailctl/grants.h"

#include <fmt/format.h>

#include <algorithm>
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
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos;
}

TableGrant parse_grant(std::string_view file_name, std::string_view statement) {
  const auto bad = [&] {
    return std::runtime_error(fmt::format("{}: not of the shape that grants have: {}", file_name, statement));
  };
  std::string_view rest = statement;
  if (!eat(rest, "GRANT SELECT (")) throw bad();
  const auto close = rest.find(')');
  if (close == std::string_view::npos) throw bad();
  TableGrant grant;
  for (const auto& column : split(rest.substr(0, close), ',')) {
    if (!is_word(trim(column)) || !grant.columns.emplace(trim(column)).second) throw bad();
  }
  rest.remove_prefix(close);
  if (!eat(rest, ") ON mailserver.")) throw bad();
  const auto space = rest.find(' ');
  if (space == std::string_view::npos || !is_word(rest.substr(0, space))) throw bad();
  grant.table = rest.substr(0, space);
  rest.remove_prefix(space);
  if (!eat(rest, " TO 'vmailkit-") || rest.size() < 14 || rest.substr(rest.size() - 13) != "'@'localhost'") throw bad();
  return grant;
}

std::string account_name(mysql::Connection& connection, const Account& account, const std::string& host) {
  return connection.quote(account.user) + '@' + connection.quote(host);
}

std::string grant_statement(mysql::Connection& connection, const std::string& database, const std::string& name,
                            const TableGrant& grant) {
  std::string columns;
  for (const auto& column : grant.columns) {
    columns += (columns.empty() ? "" : ", ") + connection.quote_identifier(column);
  }
  return fmt::format("GRANT SELECT ({}) ON {}.{} TO {}", columns, connection.quote_identifier(database),
                     connection.quote_identifier(grant.table), name);
}

}  // namespace

std::vector<TableGrant> parse_grants(std::string_view file_name, std::string_view text) {
  std::vector<TableGrant> grants;
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
  for (auto& account : accounts) {
    for (const auto& text : grant_texts()) {
      if (text.name == account.section + ".sql") account.grants = parse_grants(text.name, text.text);
    }
  }
  return accounts;
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

  std::set<std::string> wanted;
  for (const auto& grant : account.grants) {
    for (const auto& column : grant.columns)
      wanted.insert(fmt::format("SELECT {}.{}.{}", database, grant.table, column));
  }
  std::set<std::string> found;
  const auto collect = [&](const std::string& sql) {
    for (const auto& row : connection.query(sql, known).rows) {
      std::string line = row.at(0).value_or("");
      for (std::size_t i = 1; i < row.size(); ++i) line += (i == 1 ? ' ' : '.') + row[i].value_or("");
      found.insert(std::move(line));
    }
  };
  collect(
      "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = ? AND privilege_type <> 'USAGE'");
  collect(
      "SELECT privilege_type, table_schema FROM information_schema.schema_privileges"
      " WHERE grantee = ? AND privilege_type <> 'USAGE'");
  collect(
      "SELECT privilege_type, table_schema, table_name FROM information_schema.table_privileges"
      " WHERE grantee = ? AND privilege_type <> 'USAGE'");
  collect(
      "SELECT privilege_type, table_schema, table_name, column_name FROM information_schema.column_privileges"
      " WHERE grantee = ?");
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
  if (!before.extra.empty()) connection.run("REVOKE ALL PRIVILEGES, GRANT OPTION FROM " + name);
  if (before.extra.empty() && before.missing.empty()) return;
  for (const auto& grant : account.grants) connection.run(grant_statement(connection, database, name, grant));
}

}  // namespace vmail::sql
