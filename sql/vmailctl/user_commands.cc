#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"
#include "shared/mysql/secret_query.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/app_passwords.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/dovecot.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/logins.h"
#include "sql/vmailctl/mail_fate.h"
#include "sql/vmailctl/prompt.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/rule_checks.h"

namespace vmail::sql {
namespace {

// What stands at a new mailbox's address or in its place. `address`: as its row will spell it.
void refuse_taken(const App& app, Catalog& catalog, const std::string& text, const Address& address, bool adopt_mail) {
  if (catalog.user(text)) {
    throw Refusal(fmt::format("the user {} is there already", text),
                  fmt::format("To change the password: vmailctl user passwd {}", text));
  }
  const auto destinations = catalog.destinations(text);
  if (!destinations.empty() && std::find(destinations.begin(), destinations.end(), text) == destinations.end()) {
    throw Refusal(
        fmt::format("an alias sends the mail of {} to {}: the mailbox would never get any", text, destinations[0]),
        fmt::format("Remove it first: vmailctl alias remove {0}\n"
                    "  Later, for a copy to the other address: vmailctl alias add {0} {0} {1}",
                    text, destinations[0]));
  }
  MailTree tree(app.settings);
  const std::string path = tree.path(address);  // refuses what can have none
  if (!adopt_mail && tree.exists(address)) {
    throw Refusal(fmt::format("mail of a former owner of {} lies in {}", text, path),
                  fmt::format("To move it away: vmailctl user remove {} --mail archive\n"
                              "  To give it to the new owner: --adopt-mail",
                              text));
  }
}

// Those that go with the user. An alias at the same address keeps what is about it.
std::vector<Rule> rules_of_user(Catalog& catalog, RuleTable& rules, const std::string& address) {
  auto about = rules.about(address);
  if (catalog.aliases_at(address).empty()) return about;
  const auto stays = [](const Rule& rule) {
    return rule.kind != RuleKind::SendAs && rule.kind != RuleKind::Limit && !is_about_mailboxes(rule.kind);
  };
  about.erase(std::remove_if(about.begin(), about.end(), stays), about.end());
  return about;
}

// The row is gone since an earlier time; its mail may be there yet.
int remove_leftover(const App& app, Catalog& catalog, const std::string& address, std::optional<MailFate> fate) {
  MailTree tree(app.settings);
  Address key = address_key(address);
  if (const auto domain = catalog.domain(key.domain)) key.domain = fold_case(domain->name);
  if (!fate || *fate == MailFate::Keep || !tree.has_place(key) || !tree.exists(key)) require_user(catalog, address);
  const User former{"", key.text(), "", "", false};
  MailRemover remover(app, {former}, fate, "");
  const Json result = remover.remove(former);
  app.output.done(fmt::format("There was no user {} any more.{}", address, remover.summary()), result);
  return 0;
}

}  // namespace

int user_add(const App& app, const std::string& argument, bool adopt_mail) {
  const Address key = new_address_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  const Domain domain = require_own_domain(catalog, key.domain);
  const Address address{key.local, fold_case(domain.name)};
  refuse_taken(app, catalog, key.text(), address, adopt_mail);

  const Secret hash = hash_of(app, read_new_password(app.settings, address.text()));
  // What a former owner of the address has left behind, whoever removed that one.
  AppPasswordTable(*connection).remove_of(key.text());
  mysql::query_with_secrets(*connection,
                            "INSERT INTO virtual_users (password, domain_id, email, enable) VALUES (?, ?, ?, 1)",
                            {hash.view()}, {domain.id, address.text()});
  tell_of_logins(app, {key.text()});
  const std::string path = MailTree(app.settings).path(address);
  app.output.done(fmt::format("Added user {}; its mail goes to {}.", address.text(), path),
                  {{"added", address.text()}, {"path", path}});
  if (!domain.enabled) {
    app.output.note(fmt::format("the domain {0} is disabled; vmailctl domain enable {0}", domain.name));
  }
  return 0;
}

int user_list(const App& app, const std::string& argument) {
  const auto connection = connect(app);
  Catalog catalog(*connection);
  std::string domain_id;
  if (!argument.empty()) domain_id = require_own_domain(catalog, domain_key(argument)).id;
  Json rows = Json::array();
  for (const auto& user : catalog.users(domain_id)) {
    rows.push_back({{"address", user.address}, {"domain", user.domain}, {"enabled", user.enabled}});
  }
  app.output.table({{"address", "USER"}, {"enabled", "ENABLED"}}, rows);
  return 0;
}

int user_show(const App& app, const std::string& argument) {
  const std::string address = address_key(argument).text();
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const User user = require_user(catalog, address);
  Json json = {{"address", user.address}, {"domain", user.domain}, {"enabled", user.enabled}};
  const MailTree tree(app.settings);
  const auto written = parse_address(user.address);
  json["path"] = written && tree.has_place(*written) ? Json(tree.path(*written)) : Json();
  json["aliases"] = Json::array();
  for (const auto& alias : catalog.aliases_to(address)) json["aliases"].push_back(alias.source);
  app.output.record(
      {{"address", "User"}, {"domain", "Domain"}, {"enabled", "Enabled"}, {"path", "Mail"}, {"aliases", "Aliases"}},
      json);
  return 0;
}

int user_remove(const App& app, const std::string& argument, std::optional<MailFate> fate) {
  const std::string address = address_key(argument).text();
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  const auto user = catalog.user(address);
  if (!user) return remove_leftover(app, catalog, address, fate);

  const std::string what = fmt::format("{} cannot be removed", address);
  ChangedView after(catalog);
  after.remove_mailbox(address);
  refuse_dangling(dangling_after(catalog, after, address, app.settings.addresses.recipient_delimiter), what);
  RuleTable rules(*connection);
  const bool nowhere = !trace(after, address, app.settings.addresses.recipient_delimiter).dead_ends.empty();
  if (nowhere) refuse_rules(rules.leading_to(address), what);
  const auto own_rules = rules_of_user(catalog, rules, address);
  MailRemover remover(app, {*user}, fate, fmt::format("the mail of {}", address));

  // Disabled first, so that nothing new comes in; the row goes last. Interrupted in between, the same command goes on.
  const mysql::Value id[] = {user->id};
  connection->query("UPDATE virtual_users SET enable = 0 WHERE id = ?", id);
  tell_of_logins(app, {address});
  Json result = {{"removed", user->address}};
  result.update(remover.remove(*user));
  // With its rules: the next owner of the address is to have none of its rights.
  rules.remove(own_rules);
  AppPasswordTable(*connection).remove_of(address);
  connection->query("DELETE FROM virtual_users WHERE id = ?", id);
  tell_of_logins(app, {address});
  app.output.done(fmt::format("Removed user {}.{}", user->address, remover.summary()), result);
  return 0;
}

int user_enable(const App& app, const std::string& argument, bool enable) {
  const std::string address = address_key(argument).text();
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  const User user = require_user(catalog, address);
  const mysql::Value row[] = {enable ? "1" : "0", user.id};
  connection->query("UPDATE virtual_users SET enable = ? WHERE id = ?", row);
  tell_of_logins(app, {address});
  app.output.done(fmt::format("User {} is {}.", user.address, enable ? "enabled" : "disabled: no login, no new mail"),
                  {{"address", user.address}, {"enabled", enable}});
  return 0;
}

int user_passwd(const App& app, const std::string& argument) {
  const std::string address = address_key(argument).text();
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  const User user = require_user(catalog, address);
  const Secret password = read_new_password(app.settings, user.address);
  change_password(app, *connection, user, password);
  tell_of_logins(app, {address});
  app.output.done(fmt::format("The password of {} is changed.", user.address),
                  {{"address", user.address}, {"password", "changed"}});
  return 0;
}

}  // namespace vmail::sql
