// vmailctl user state
#include <fmt/format.h>

#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/dovecot.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/states.h"

namespace vmail::sql {
namespace {

std::string in_words(const std::vector<std::string>& states) {
  return states.empty() ? "on" : fmt::format("{}", fmt::join(states, ", "));
}

int show(const App& app, RuleTable& rules, const std::string& key, const std::optional<User>& user) {
  const auto states = states_of(rules, key);
  const bool off = user && !user->enabled;
  app.output.record({{"name", user ? "User" : "Domain"}, {"state", "State"}},
                    {{"name", key}, {"state", off ? "off" : in_words(states)}, {"states", states}, {"enabled", !off}});
  return 0;
}

}  // namespace

int user_state(const App& app, const std::string& name, const std::string& state) {
  const auto connection = connect(app);
  Catalog catalog(*connection);
  catalog.require_upgraded();
  RuleTable rules(*connection);
  rules.require();
  const std::string key = alias_key(name);
  std::optional<User> user;
  if (key.front() == '@') {
    require_own_domain(catalog, key.substr(1));
  } else {
    user = catalog.user(key);
    if (!user) throw Refusal("there is no user " + key, "`vmailctl user list` shows them.");
  }
  if (state.empty()) return show(app, rules, key, user);
  if (!user && state == "off") {
    throw Refusal("a domain is switched off as a whole", "vmailctl domain disable " + key.substr(1));
  }
  // Who is to be on in a domain that is not needs to have it said.
  write_states(rules, key, {});
  const bool says_on = state == "on" && user && !states_of(rules, key).empty();
  if (says_on || (state != "on" && state != "off")) write_states(rules, key, {state});
  if (user) {
    const mysql::Value row[] = {state == "off" ? "0" : "1", user->id};
    connection->query("UPDATE virtual_users SET enable = ? WHERE id = ?", row);
  }
  tell_of_logins(app, {key});
  app.output.done(fmt::format("{} is {}.", user ? "User " + user->address : "Domain " + key.substr(1),
                              state == "off" ? "off: no login, no new mail" : state),
                  {{"name", key}, {"state", state}});
  return 0;
}

}  // namespace vmail::sql
