#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "shared/mysql/transaction.h"
#include "sql/vmailctl/alias_graph.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

using Strings = std::vector<std::string>;

bool contains(const Strings& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

std::string join(const Strings& parts, const char* between) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

// An alias beats the mailbox at its address (Postfix asks the alias map first).
void refuse_shadowed_mailbox(Catalog& catalog, const std::string& source, const Strings& destinations) {
  if (destinations.empty() || contains(destinations, source) || !catalog.mailbox(source)) return;
  throw Refusal(
      fmt::format("{0} is a mailbox, and an alias at its address takes all its mail: the mailbox would get none",
                  source),
      fmt::format("For a copy, let it keep its own: vmailctl alias add {0} {0} {1}", source, join(destinations, " ")));
}

void refuse_bad_destination(AliasView& after, const App& app, const std::string& source,
                            const std::string& destination) {
  if (destination == source) {
    if (after.mailbox(source)) return;
    throw Refusal(fmt::format("{} would lead to itself, and there is no mailbox", source), "");
  }
  const Trace found = trace(after, destination, app.settings.addresses.recipient_delimiter);
  if (!found.loop.empty()) {
    throw Refusal(fmt::format("{} to {} would be a loop: {}", source, destination, join(found.loop, " -> ")),
                  "`vmailctl alias show` tells where each of them leads.");
  }
  if (found.too_many) {
    throw Refusal(fmt::format("{} leads to more than {} addresses, or round and round with ever longer extensions: "
                              "Postfix would not follow",
                              destination, kMostAddresses),
                  "");
  }
  if (!found.dead_ends.empty()) {
    throw Refusal(
        fmt::format("{} leads nowhere: there is no {} in our domain", destination, found.dead_ends[0]),
        fmt::format("Make it first: vmailctl user add {0}, or vmailctl alias add {0} ...", found.dead_ends[0]));
  }
}

std::string destination_key(const std::string& source, const std::string& text) {
  if (text.empty() || text.front() != '@') return new_address_key(text).text();
  if (source.front() != '@') {
    throw Refusal(fmt::format("{} cannot lead to the whole domain {}", source, printable(text)),
                  "Only a catch-all can (a source like @example.org): it leads each address to the same one there.");
  }
  return '@' + new_domain_key(text.substr(1));
}

std::vector<Alias> require_aliases(Catalog& catalog, const std::string& source, const std::string& destination) {
  auto aliases = catalog.aliases_at(source);
  if (aliases.empty()) throw Refusal(fmt::format("there is no alias {}", source), "`vmailctl alias list` shows them.");
  if (destination.empty()) return aliases;
  const std::string key = directory::address_key(destination);
  aliases.erase(std::remove_if(aliases.begin(), aliases.end(),
                               [&](const Alias& alias) {
                                 return alias.destination != destination &&
                                        (key.empty() || directory::address_key(alias.destination) != key);
                               }),
                aliases.end());
  if (aliases.empty()) {
    throw Refusal(fmt::format("the alias {} does not lead to {}", source, printable(destination)),
                  fmt::format("vmailctl alias show {}", source));
  }
  return aliases;
}

Json destinations_of(const std::vector<Alias>& aliases) {
  Json list = Json::array();
  for (const auto& alias : aliases) list.push_back(alias.destination);
  return list;
}

void for_each(mysql::Connection& connection, const std::vector<Alias>& aliases, const std::string& sql) {
  mysql::Transaction transaction(connection);
  for (const auto& alias : aliases) {
    const mysql::Value id[] = {alias.id};
    connection.query(sql, id);
  }
  transaction.commit();
}

}  // namespace

int alias_add(const App& app, const std::string& argument, const Strings& arguments) {
  const std::string source =
      argument.substr(0, 1) == "@" ? '@' + new_domain_key(argument.substr(1)) : new_address_key(argument).text();
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  const Domain domain = require_own_domain(catalog, source.substr(source.rfind('@') + 1));

  Strings destinations = catalog.destinations(source);
  Strings added;
  for (const auto& text : arguments) {
    const std::string destination = destination_key(source, text);
    if (contains(destinations, destination)) {
      throw Refusal(fmt::format("the alias {} leads to {} already", source, destination),
                    fmt::format("vmailctl alias show {}", source));
    }
    destinations.push_back(destination);
    added.push_back(destination);
  }
  refuse_shadowed_mailbox(catalog, source, destinations);
  ChangedView after(catalog);
  after.set_destinations(source, destinations);
  for (const auto& destination : added) refuse_bad_destination(after, app, source, destination);

  mysql::Transaction transaction(*connection);
  for (const auto& destination : added) {
    const mysql::Value row[] = {domain.id, spelled(source, domain), destination};
    connection->query("INSERT INTO virtual_aliases (domain_id, source, destination, enable) VALUES (?, ?, ?, 1)", row);
  }
  transaction.commit();
  tell_daemons(app, {source});
  app.output.done(fmt::format("Added alias {} to {}.", source, join(added, ", ")),
                  {{"source", source}, {"added", added}});
  return 0;
}

int alias_list(const App& app, const std::string& argument) {
  const auto connection = connect(app);
  Catalog catalog(*connection);
  std::string domain_id;
  if (!argument.empty()) domain_id = require_own_domain(catalog, domain_key(argument)).id;
  Json rows = Json::array();
  for (const auto& alias : catalog.aliases(domain_id)) {
    rows.push_back({{"source", alias.source}, {"destination", alias.destination}, {"enabled", alias.enabled}});
  }
  app.output.table({{"source", "ALIAS"}, {"destination", "TO"}, {"enabled", "ENABLED"}}, rows);
  return 0;
}

int catch_all_list(const App& app) {
  const auto connection = connect(app);
  Json rows = Json::array();
  for (const auto& alias : Catalog(*connection).aliases("")) {
    if (alias.source.substr(0, 1) != "@") continue;
    rows.push_back(
        {{"domain", alias.source.substr(1)}, {"destination", alias.destination}, {"enabled", alias.enabled}});
  }
  app.output.table({{"domain", "DOMAIN"}, {"destination", "TO"}, {"enabled", "ENABLED"}}, rows);
  return 0;
}

int alias_show(const App& app, const std::string& argument) {
  const std::string source = alias_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const auto aliases = require_aliases(catalog, source, "");
  const Trace found = trace(catalog, source, app.settings.addresses.recipient_delimiter);
  Json json = {{"source", source},
               {"destinations", Json::array()},
               {"leads_to", found.ends},
               {"dead_ends", found.dead_ends},
               {"loop", found.loop}};
  Json shown = {{"source", source}, {"destinations", Json::array()}, {"leads_to", found.ends}};
  for (const auto& alias : aliases) {
    json["destinations"].push_back({{"destination", alias.destination}, {"enabled", alias.enabled}});
    shown["destinations"].push_back(alias.destination + (alias.enabled ? "" : " (disabled)"));
  }
  std::vector<Column> columns = {{"source", "Alias"}, {"destinations", "To"}, {"leads_to", "In the end"}};
  if (!found.dead_ends.empty()) {
    shown["dead_ends"] = found.dead_ends;
    columns.push_back({"dead_ends", "Nowhere"});
  }
  if (!found.loop.empty()) {
    shown["loop"] = join(found.loop, " -> ");
    columns.push_back({"loop", "Loop"});
  }
  app.output.record(columns, app.output.json() ? json : shown);
  return 0;
}

int alias_remove(const App& app, const std::string& argument, const std::string& destination) {
  const std::string source = alias_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  const auto removed = require_aliases(catalog, source, destination);

  Strings left;
  for (const auto& alias : catalog.aliases_at(source)) {
    const bool goes =
        std::any_of(removed.begin(), removed.end(), [&](const Alias& other) { return other.id == alias.id; });
    if (!goes) left.push_back(directory::address_key(alias.destination));
  }
  refuse_shadowed_mailbox(catalog, source, left);
  ChangedView after(catalog);
  after.set_destinations(source, left);
  if (left.empty()) {
    const std::string what = fmt::format("the alias {} cannot be removed", source);
    refuse_dangling(dangling_after(catalog, after, source, app.settings.addresses.recipient_delimiter), what);
    RuleTable rules(*connection);
    const bool nowhere = !trace(after, source, app.settings.addresses.recipient_delimiter).dead_ends.empty();
    if (nowhere) refuse_rules(rules.leading_to(source), what);
    rules.remove(rules.named(RuleKind::Protect, source));
  }
  for_each(*connection, removed, "DELETE FROM virtual_aliases WHERE id = ?");
  tell_daemons(app, {source});
  const Json list = destinations_of(removed);
  app.output.done(fmt::format("Removed alias {} to {}.", source, join(list.get<Strings>(), ", ")),
                  {{"source", source}, {"removed", list}});
  return 0;
}

int alias_enable(const App& app, const std::string& argument, const std::string& destination, bool enable) {
  const std::string source = alias_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  const auto aliases = require_aliases(catalog, source, destination);
  for_each(*connection, aliases,
           enable ? "UPDATE virtual_aliases SET enable = 1 WHERE id = ?"
                  : "UPDATE virtual_aliases SET enable = 0 WHERE id = ?");
  tell_daemons(app, {source});
  const Json list = destinations_of(aliases);
  app.output.done(
      fmt::format("Alias {} to {} is {}.", source, join(list.get<Strings>(), ", "), enable ? "enabled" : "disabled"),
      {{"source", source}, {"destinations", list}, {"enabled", enable}});
  return 0;
}

}  // namespace vmail::sql
