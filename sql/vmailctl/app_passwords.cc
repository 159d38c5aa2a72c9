#include "sql/vmailctl/app_passwords.h"

#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "shared/mysql/secret_query.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

std::int64_t seconds(const mysql::Value& value) {
  return static_cast<std::int64_t>(parse_number(value.value_or("")).value_or(0));
}

}  // namespace

AppPasswordTable::AppPasswordTable(mysql::Connection& connection) : connection_(connection) {
  const auto found = connection.query(
      "SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()"
      " AND table_name = 'virtual_app_passwords' AND column_name = 'selector'");
  exists_ = !found.rows.empty();
}

void AppPasswordTable::require() const {
  if (exists_) return;
  throw Refusal("this database has an older schema, without app passwords",
                "Run `vmailctl schema upgrade` first (`vmailctl schema upgrade --dry-run` shows what it would do).");
}

std::vector<AppPasswordRow> AppPasswordTable::of(const std::string& address) {
  std::vector<AppPasswordRow> rows;
  if (!exists_) return rows;
  std::string sql =
      "SELECT id, email, selector, label, services, networks, not_after, last_used, last_ip, enable"
      " FROM virtual_app_passwords";
  std::vector<mysql::Value> keys;
  if (!address.empty()) {
    const auto domain = address.rfind('@') + 1;
    sql += " WHERE email IN (?, ?)";
    keys = {address, address.substr(0, domain) + directory::u_label(address.substr(domain))};
  }
  for (const auto& row : connection_.query(sql + " ORDER BY email, id", keys).rows) {
    const auto text = [&](std::size_t at) { return row.at(at).value_or(""); };
    if (!address.empty() && directory::address_key(text(1)) != address) continue;
    rows.push_back({text(0), text(1), text(2), text(3), text(4), text(5), seconds(row.at(6)), seconds(row.at(7)),
                    text(8), row.at(9) == "1"});
  }
  return rows;
}

void AppPasswordTable::add(const AppPasswordRow& row, const Secret& hash) {
  mysql::query_with_secrets(
      connection_,
      "INSERT INTO virtual_app_passwords"
      " (hash, email, selector, label, services, networks, not_after)"
      " VALUES (?, ?, ?, ?, ?, ?, CAST(? AS SIGNED))",
      {hash.view()}, {row.address, row.selector, row.label, row.services, row.networks, std::to_string(row.not_after)});
}

void AppPasswordTable::remove(const std::string& id) {
  const mysql::Value key[] = {id};
  connection_.query("DELETE FROM virtual_app_passwords WHERE id = ?", key);
}

void AppPasswordTable::remove_of(const std::string& address) {
  for (const auto& row : of(address)) remove(row.id);
}

}  // namespace vmail::sql
