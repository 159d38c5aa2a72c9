// transport, send-as, bcc, relay, canonical, access, protect, external, quota: one table, one implementation.
#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/rule_checks.h"
#include "sql/vmailctl/rule_objects.h"
#include "sql/vmailctl/rules.h"

namespace vmail::sql {
namespace {

std::string key_of(RuleKind kind, const std::string& name) {
  std::string key = directory::rule_key(kind, name);
  return key.empty() ? name : key;
}

// As a row has it: an action or a transport by its text, an address by its key.
bool is_value(const Rule& rule, const std::string& value) {
  if (rule.value == value) return true;
  const std::string key = directory::address_key(value);
  return !key.empty() && directory::address_key(rule.value) == key;
}

std::vector<Rule> require_rules(RuleTable& table, RuleKind kind, const std::string& name, const std::string& value) {
  std::vector<Rule> rules = table.named(kind, key_of(kind, name));
  if (rules.empty()) {
    throw Refusal(fmt::format("there is no {} rule for {}", directory::word(kind), printable(name)),
                  fmt::format("`vmailctl {} list` shows them.", object_of(kind)));
  }
  if (value.empty()) return rules;
  rules.erase(std::remove_if(rules.begin(), rules.end(), [&](const Rule& rule) { return !is_value(rule, value); }),
              rules.end());
  if (rules.empty()) {
    throw Refusal(fmt::format("no {} rule for {} says '{}'", directory::word(kind), printable(name), printable(value)),
                  fmt::format("`vmailctl {} list` shows them.", object_of(kind)));
  }
  return rules;
}

std::vector<std::string> values_of(const std::vector<Rule>& rules) {
  std::vector<std::string> values;
  for (const auto& rule : rules) values.push_back(rule.value);
  return values;
}

// The rules are read again with the sets of domains, which any flush does; "*" is no address, so that no row is.
void tell_of_rules(const App& app) {
  tell_daemons(app, {"*"});
}

}  // namespace

int rule_add(const App& app, RuleKind kind, const std::string& name, const std::string& value) {
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  RuleTable table(*connection);
  table.require();
  const NewRule rule = check_rule(app, catalog, table.all(kind), kind, name, value);
  table.add(kind, rule.name, rule.value);
  tell_of_rules(app);
  app.output.done(fmt::format("Added the {} rule for {}: {}", directory::word(kind), rule.name, rule.value),
                  {{"kind", directory::word(kind)}, {"name", rule.name}, {"added", rule.value}});
  if (!rule.note.empty()) app.output.note(rule.note);
  return 0;
}

int rule_list(const App& app, const std::vector<RuleKind>& kinds, const std::string& name) {
  const auto connection = connect(app);
  RuleTable table(*connection);
  table.require();
  Json rows = Json::array();
  for (const auto kind : kinds) {
    for (const auto& rule : name.empty() ? table.all(kind) : table.named(kind, key_of(kind, name))) {
      rows.push_back(
          {{"kind", directory::word(kind)}, {"name", rule.name}, {"value", rule.value}, {"enabled", rule.enabled}});
    }
  }
  std::vector<Column> columns = {{"name", "NAME"}, {"value", "VALUE"}, {"enabled", "ENABLED"}};
  if (kinds.size() > 1) columns.insert(columns.begin(), {"kind", "KIND"});
  app.output.table(columns, rows);
  return 0;
}

int rule_remove(const App& app, RuleKind kind, const std::string& name, const std::string& value) {
  const auto connection = connect(app);
  RuleTable table(*connection);
  table.require();
  const auto rules = require_rules(table, kind, name, value);
  table.remove(rules);
  tell_of_rules(app);
  const auto values = values_of(rules);
  app.output.done(
      fmt::format("Removed the {} rule for {}: {}", directory::word(kind), rules[0].name, fmt::join(values, ", ")),
      {{"kind", directory::word(kind)}, {"name", rules[0].name}, {"removed", values}});
  return 0;
}

int rule_enable(const App& app, RuleKind kind, const std::string& name, const std::string& value, bool enable) {
  const auto connection = connect(app);
  RuleTable table(*connection);
  table.require();
  const auto rules = require_rules(table, kind, name, value);
  table.enable(rules, enable);
  tell_of_rules(app);
  const auto values = values_of(rules);
  app.output.done(fmt::format("The {} rule for {} is {}: {}", directory::word(kind), rules[0].name,
                              enable ? "enabled" : "disabled", fmt::join(values, ", ")),
                  {{"kind", directory::word(kind)}, {"name", rules[0].name}, {"values", values}, {"enabled", enable}});
  return 0;
}

}  // namespace vmail::sql
