#include "sql/vmailctl/rules.h"

#include <algorithm>

#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "shared/mysql/transaction.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

// "@d" of an address, a domain, ".d" or "@d"; the text itself when there is no domain in it.
std::string domain_part(const std::string& key) {
  const auto at = key.rfind('@');
  if (at != std::string::npos) return key.substr(at);
  return key.substr(0, 1) == "." ? '@' + key.substr(1) : '@' + key;
}

bool is_about(const std::string& text, const std::string& key) {
  return text == key || (key.front() == '@' && domain_part(text) == key);
}

// The address in a value; of a canonical one, a bcc and the like it is all of it.
std::string address_in(const Rule& rule) {
  if (rule.kind != RuleKind::RecipientAccess) return directory::address_key(rule.value);
  const auto blank = rule.value.find(' ');
  return blank == std::string::npos ? "" : directory::address_key(trim(rule.value.substr(blank)));
}

}  // namespace

std::string Rule::key() const {
  std::string key = directory::rule_key(kind, name);
  return key.empty() ? name : key;
}

RuleTable::RuleTable(mysql::Connection& connection) : connection_(connection) {
  const auto found = connection.query(
      "SELECT COUNT(*) FROM information_schema.tables"
      " WHERE table_schema = DATABASE() AND table_name = 'virtual_rules'");
  exists_ = found.rows.at(0).at(0) == "1";
}

void RuleTable::require() const {
  if (exists_) return;
  throw Refusal("this database has an older schema, without the table of rules",
                "Run `vmailctl schema upgrade` first (`vmailctl schema upgrade --dry-run` shows what it would do).");
}

std::vector<Rule> RuleTable::read(const std::string& condition, const std::vector<mysql::Value>& parameters) {
  std::vector<Rule> rules;
  if (!exists_) return rules;
  const auto found = connection_.query(
      "SELECT id, kind, name, value, enable FROM virtual_rules" + condition + " ORDER BY kind, name, id", parameters);
  for (const auto& row : found.rows) {
    const auto kind = directory::rule_kind(row[1].value_or(""));
    if (!kind) continue;  // not one of ours; the daemons pass it over as well
    rules.push_back({row[0].value_or(""), *kind, row[2].value_or(""), row[3].value_or(""), row[4] == "1"});
  }
  return rules;
}

std::vector<Rule> RuleTable::all(RuleKind kind) {
  return read(" WHERE kind = ?", {directory::word(kind)});
}

std::vector<Rule> RuleTable::named(RuleKind kind, const std::string& key) {
  std::vector<Rule> rules = all(kind);
  rules.erase(std::remove_if(rules.begin(), rules.end(), [&](const Rule& rule) { return rule.key() != key; }),
              rules.end());
  return rules;
}

std::vector<Rule> RuleTable::about(const std::string& key) {
  std::vector<Rule> rules = read("", {});
  const auto is_other = [&](const Rule& rule) { return !is_about(rule.key(), key); };
  rules.erase(std::remove_if(rules.begin(), rules.end(), is_other), rules.end());
  return rules;
}

std::vector<Rule> RuleTable::leading_to(const std::string& key) {
  std::vector<Rule> rules = read("", {});
  const auto is_other = [&](const Rule& rule) {
    // To be allowed to send as an address, or to write to it, needs no mailbox there.
    if (rule.kind == RuleKind::SendAs || rule.kind == RuleKind::Protect) return true;
    const std::string to = address_in(rule);
    return to.empty() || !is_about(to, key);
  };
  rules.erase(std::remove_if(rules.begin(), rules.end(), is_other), rules.end());
  return rules;
}

void RuleTable::add(RuleKind kind, const std::string& name, const std::string& value) {
  const mysql::Value row[] = {directory::word(kind), name, value};
  connection_.query("INSERT INTO virtual_rules (kind, name, value, enable) VALUES (?, ?, ?, 1)", row);
}

void RuleTable::enable(const std::vector<Rule>& rules, bool enable) {
  for_each(rules, enable ? "UPDATE virtual_rules SET enable = 1 WHERE id = ?"
                         : "UPDATE virtual_rules SET enable = 0 WHERE id = ?");
}

void RuleTable::remove(const std::vector<Rule>& rules) {
  for_each(rules, "DELETE FROM virtual_rules WHERE id = ?");
}

void RuleTable::for_each(const std::vector<Rule>& rules, const std::string& sql) {
  mysql::Transaction transaction(connection_);
  for (const auto& rule : rules) {
    const mysql::Value id[] = {rule.id};
    connection_.query(sql, id);
  }
  transaction.commit();
}

}  // namespace vmail::sql
