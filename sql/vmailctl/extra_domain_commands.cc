// alias-domain and relay-domain.
#include <fmt/format.h>

#include "shared/base/text.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/rules.h"

namespace vmail::sql {
namespace {

struct KindText {
  const char* command;
  const char* table;
};
KindText text_of(DomainKind kind) {
  return kind == DomainKind::Alias ? KindText{"alias-domain", "virtual_alias_domains"}
                                   : KindText{"relay-domain", "virtual_relay_domains"};
}

// Of that kind, by the key of its name.
Domain require_kind(Catalog& catalog, DomainKind kind, const std::string& name) {
  auto domain = catalog.domain(name);
  if (domain && domain->kind == kind) return std::move(*domain);
  throw Refusal(
      fmt::format("there is no {} {}", kind == DomainKind::Alias ? "alias domain" : "relay domain", printable(name)),
      domain ? fmt::format("It is another kind: vmailctl domain show {}", domain->name)
             : fmt::format("`vmailctl {} list` shows them.", text_of(kind).command));
}

// The names of the table are folded, and spelled as they were given: as U-label or A-label.
void add_row(mysql::Connection& connection, DomainKind kind, const std::string& name, const std::string& target) {
  if (kind == DomainKind::Alias) {
    const mysql::Value row[] = {name, target};
    connection.query("INSERT INTO virtual_alias_domains (name, target, enable) VALUES (?, ?, 1)", row);
  } else {
    const mysql::Value row[] = {name};
    connection.query("INSERT INTO virtual_relay_domains (name, enable) VALUES (?, 1)", row);
  }
}

}  // namespace

int extra_domain_add(const App& app, DomainKind kind, const std::string& argument, const std::string& target_argument) {
  const std::string name = new_domain_key(argument);
  const std::string written = fold_case(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  refuse_existing_domain(catalog, name);
  Json result = {{"added", written}};
  std::string target;
  if (kind == DomainKind::Alias) {
    const std::string target_name = domain_key(target_argument);
    if (target_name == name) throw Refusal(fmt::format("{} cannot be an alias of itself", written), "");
    target = require_own_domain(catalog, target_name).name;
    result["target"] = target;
  }
  add_row(*connection, kind, written, target);
  tell_daemons(app, {'@' + name});
  if (kind == DomainKind::Alias) {
    app.output.done(fmt::format("Added alias domain {}: its addresses are those of {}.", written, target), result);
  } else {
    app.output.done(fmt::format("Added relay domain {}: mail for it is taken and passed on.", written), result);
    if (RuleTable(*connection).named(RuleKind::Transport, name).empty()) {
      app.output.note(
          fmt::format("it goes to the MX of {0}; where that is this host, say where else: "
                      "vmailctl transport add {0} 'relay:[HOST]'",
                      written));
    }
  }
  return 0;
}

int extra_domain_list(const App& app, DomainKind kind) {
  const auto connection = connect(app);
  Json rows = Json::array();
  for (const auto& domain : Catalog(*connection).domains()) {
    if (domain.kind != kind) continue;
    Json row = {{"name", domain.name}, {"enabled", domain.enabled}};
    if (kind == DomainKind::Alias) row["target"] = domain.target;
    rows.push_back(std::move(row));
  }
  std::vector<Column> columns = {{"name", "DOMAIN"}, {"enabled", "ENABLED"}};
  if (kind == DomainKind::Alias) columns.push_back({"target", "TARGET"});
  app.output.table(columns, rows);
  return 0;
}

int extra_domain_remove(const App& app, DomainKind kind, const std::string& argument) {
  const std::string name = domain_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const Domain domain = require_kind(catalog, kind, name);
  const std::string what = fmt::format("{} cannot be removed", domain.name);
  if (kind == DomainKind::Alias) refuse_dangling(catalog.aliases_to('@' + name), what);
  RuleTable rules(*connection);
  refuse_rules(rules.leading_to('@' + name), what);
  refuse_rules(rules.about('@' + name), what);
  const mysql::Value row[] = {domain.name};
  connection->query(fmt::format("DELETE FROM {} WHERE name = ?", text_of(kind).table), row);
  tell_daemons(app, {'@' + name});
  app.output.done(
      fmt::format("Removed {} {}.", kind == DomainKind::Alias ? "alias domain" : "relay domain", domain.name),
      {{"removed", domain.name}});
  return 0;
}

int extra_domain_enable(const App& app, DomainKind kind, const std::string& argument, bool enable) {
  const std::string name = domain_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const Domain domain = require_kind(catalog, kind, name);
  const mysql::Value row[] = {enable ? "1" : "0", domain.name};
  connection->query(fmt::format("UPDATE {} SET enable = ? WHERE name = ?", text_of(kind).table), row);
  tell_daemons(app, {'@' + name});
  app.output.done(fmt::format("Domain {} is {}.", domain.name, enable ? "enabled" : "disabled: it counts as not ours"),
                  {{"name", domain.name}, {"enabled", enable}});
  return 0;
}

}  // namespace vmail::sql
