#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/app_passwords.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/dovecot.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/mail_fate.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

const char* kind_name(DomainKind kind) {
  return kind == DomainKind::Own ? "own" : kind == DomainKind::Alias ? "alias" : "relay";
}

Json as_json(const Domain& domain) {
  Json json = {{"name", domain.name}, {"kind", kind_name(domain.kind)}, {"enabled", domain.enabled}};
  if (domain.kind == DomainKind::Own) {
    json["users"] = domain.users;
    json["aliases"] = domain.aliases;
  }
  if (domain.kind == DomainKind::Alias) json["target"] = domain.target;
  return json;
}

// Those that go as well are in nobody's way.
void refuse_rules_from_elsewhere(std::vector<Rule> leading, const std::vector<Rule>& gone, const std::string& what) {
  const auto goes_too = [&](const Rule& rule) {
    return std::any_of(gone.begin(), gone.end(), [&](const Rule& other) { return other.id == rule.id; });
  };
  leading.erase(std::remove_if(leading.begin(), leading.end(), goes_too), leading.end());
  refuse_rules(leading, what);
}

Domain require_domain(Catalog& catalog, const std::string& name) {
  auto domain = catalog.domain(name);
  if (!domain)
    throw Refusal(fmt::format("there is no domain {}", printable(name)), "`vmailctl domain list` shows them.");
  return std::move(*domain);
}

}  // namespace

int domain_add(const App& app, const std::string& argument) {
  const std::string name = new_domain_key(argument);
  const std::string written = fold_case(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  refuse_existing_domain(catalog, name);
  catalog.require_upgraded();
  const mysql::Value row[] = {written};
  connection->query("INSERT INTO virtual_domains (name, enable) VALUES (?, 1)", row);
  tell_daemons(app, {'@' + name});
  app.output.done(fmt::format("Added domain {}.", written), {{"added", written}});
  return 0;
}

int domain_list(const App& app) {
  const auto connection = connect(app);
  Json rows = Json::array();
  for (const auto& domain : Catalog(*connection).domains()) rows.push_back(as_json(domain));
  app.output.table({{"name", "DOMAIN"},
                    {"kind", "KIND"},
                    {"enabled", "ENABLED"},
                    {"users", "USERS"},
                    {"aliases", "ALIASES"},
                    {"target", "TARGET"}},
                   rows);
  return 0;
}

int domain_show(const App& app, const std::string& argument) {
  const std::string name = domain_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const Domain domain = require_domain(catalog, name);
  Json json = as_json(domain);
  std::vector<Column> columns = {{"name", "Domain"}, {"kind", "Kind"}, {"enabled", "Enabled"}};
  if (domain.kind == DomainKind::Alias) columns.push_back({"target", "Target"});
  if (domain.kind == DomainKind::Own) {
    json["catch_all"] = catalog.destinations('@' + name);
    json["alias_domains"] = Json::array();
    for (const auto& alias : catalog.alias_domains_of(name)) json["alias_domains"].push_back(alias.name);
    columns.insert(columns.end(), {{"users", "Users"},
                                   {"aliases", "Aliases"},
                                   {"catch_all", "Catch-all to"},
                                   {"alias_domains", "Alias domains"}});
  }
  app.output.record(columns, json);
  return 0;
}

int domain_remove(const App& app, const std::string& argument, bool with_users, std::optional<MailFate> fate) {
  const std::string name = domain_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const Domain domain = require_domain(catalog, name);
  if (domain.kind != DomainKind::Own) require_own_domain(catalog, name);
  catalog.require_upgraded();

  if (const auto alias_domains = catalog.alias_domains_of(name); !alias_domains.empty()) {
    throw Refusal(fmt::format("{} is the target of the alias domain {}", domain.name, alias_domains[0].name),
                  fmt::format("Remove that first: vmailctl alias-domain remove {}", alias_domains[0].name));
  }
  if ((domain.users > 0 || domain.aliases > 0) && !with_users) {
    throw Refusal(fmt::format("{} still has {} users and {} aliases", domain.name, domain.users, domain.aliases),
                  "Remove them first, or all at once with --with-users.");
  }
  const auto own = catalog.aliases(domain.id);
  std::vector<Alias> from_elsewhere;
  for (auto& alias : catalog.aliases_to('@' + name)) {
    const bool goes_too = std::any_of(own.begin(), own.end(), [&](const Alias& other) { return other.id == alias.id; });
    if (!goes_too) from_elsewhere.push_back(std::move(alias));
  }
  const std::string what = fmt::format("{} cannot be removed", domain.name);
  refuse_dangling(from_elsewhere, what);
  RuleTable rules(*connection);
  const auto rules_about = rules.about('@' + name);
  refuse_rules_from_elsewhere(rules.leading_to('@' + name), rules_about, what);
  if (!with_users) refuse_rules(rules_about, what);

  const auto users = catalog.users(domain.id);
  MailRemover remover(app, users, fate, fmt::format("the mail of the {} users of {}", users.size(), domain.name));
  const mysql::Value id[] = {domain.id};
  if (!users.empty()) {
    // First nothing new comes in; then mail and row go user by user. Whatever interrupts it, running it again goes on.
    connection->query("UPDATE virtual_domains SET enable = 0 WHERE id = ?", id);
    connection->query("UPDATE virtual_users SET enable = 0 WHERE domain_id = ?", id);
    tell_of_logins(app, {'@' + name});
  }
  Json removed = Json::array();
  AppPasswordTable app_passwords(*connection);
  for (const auto& user : users) {
    removed.push_back(remover.remove(user));
    const mysql::Value user_id[] = {user.id};
    app_passwords.remove_of(directory::address_key(user.address));
    connection->query("DELETE FROM virtual_users WHERE id = ?", user_id);
  }
  rules.remove(rules_about);
  // Its aliases go with it (ON DELETE CASCADE).
  connection->query("DELETE FROM virtual_domains WHERE id = ?", id);
  tell_of_logins(app, {'@' + name});
  app.output.done(fmt::format("Removed domain {} with {} users and {} aliases.{}", domain.name, users.size(),
                              domain.aliases, remover.summary()),
                  {{"removed", domain.name}, {"users", removed}, {"aliases", domain.aliases}});
  return 0;
}

int domain_enable(const App& app, const std::string& argument, bool enable) {
  const std::string name = domain_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const Domain domain = require_own_domain(catalog, name);
  catalog.require_upgraded();
  const mysql::Value row[] = {enable ? "1" : "0", domain.id};
  connection->query("UPDATE virtual_domains SET enable = ? WHERE id = ?", row);
  tell_of_logins(app, {'@' + name});
  app.output.done(fmt::format("Domain {} is {}.", domain.name, enable ? "enabled" : "disabled: it counts as not ours"),
                  {{"name", domain.name}, {"enabled", enable}});
  return 0;
}

}  // namespace vmail::sql
