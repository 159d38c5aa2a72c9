// What a command works with, and the commands themselves. Each returns the exit status (0, or 1 for a warning) or
// throws: Refusal, config::Error, mysql::Error. One thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/config/settings.h"
#include "shared/directory/rules.h"
#include "shared/mysql/connection.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/output.h"

namespace vmail::sql {

struct App {
  const config::Settings& settings;
  Output& output;
};

// As [admin].database_user. Without a database selected for what makes it; and for what must go on without one, with a
// limit to how long an answer may take (whole seconds).
std::unique_ptr<mysql::Connection> connect(const App& app);
std::unique_ptr<mysql::Connection> connect_to_server(const App& app);
std::unique_ptr<mysql::Connection> connect_within(const App& app, std::chrono::seconds patience);

// schema_commands.cc. `from`: the host part of the daemons' database users, when it cannot be told from [database].
int schema_init(const App& app, const std::string& from);
int schema_status(const App& app);
int schema_upgrade(const App& app, bool dry_run);
int schema_verify(const App& app, const std::string& from);
int schema_print(const App& app);
int schema_grants(const App& app, const std::string& from);

// feed_commands.cc
int schema_feed(const App& app, bool on);

// What becomes of the mail of a mailbox that is removed.
enum class MailFate { Keep, Archive, Purge };

// domain_commands.cc
int domain_add(const App& app, const std::string& name);
int domain_list(const App& app);
int domain_show(const App& app, const std::string& name);
int domain_remove(const App& app, const std::string& name, bool with_users, std::optional<MailFate> fate);
int domain_enable(const App& app, const std::string& name, bool enable);

// user_commands.cc
int user_add(const App& app, const std::string& address, bool adopt_mail);
int user_list(const App& app, const std::string& domain);  // all domains when empty
int user_show(const App& app, const std::string& address);
int user_remove(const App& app, const std::string& address, std::optional<MailFate> fate);
int user_enable(const App& app, const std::string& address, bool enable);
int user_passwd(const App& app, const std::string& address);

// access_commands.cc: what logins may be used for. What is not given stays; nothing at all: it is only shown.
struct AccessChange {
  std::optional<std::string> services;  // as access_values.h reads them
  std::optional<std::string> networks;
  std::optional<std::string> not_before;
  std::optional<std::string> not_after;
  std::optional<bool> app_passwords_only;
};
int user_access(const App& app, const std::string& address, const AccessChange& change);
int domain_access(const App& app, const std::string& name, std::optional<bool> app_passwords_only);

// app_password_commands.cc. `which`: a selector, or a label.
struct AppPasswordWish {
  std::string label;
  std::optional<std::string> services;  // as above; without one, all
  std::optional<std::string> networks;
  std::string expires = "never";
};
int app_password_add(const App& app, const std::string& address, const AppPasswordWish& wish);
int app_password_list(const App& app, const std::string& address);  // all when empty
int app_password_revoke(const App& app, const std::string& address, const std::string& which);

// lock_commands.cc. They work while the database is away. `hold`: the mail of the login that is in the queue.
int user_lock(const App& app, const std::string& address, bool hold);
int user_unlock(const App& app, const std::string& address);

// state_commands.cc. `name`: a user, or @DOMAIN for those that have no state of their own. `state`: on, no-login,
// no-mail, hold or off; empty: it is only shown.
int user_state(const App& app, const std::string& name, const std::string& state);

// mailbox_commands.cc: the Maildirs of users, on this host. The exit status of the first is 1 when something is wrong
// and was not repaired.
struct WhichMailboxes {
  std::string address;
  std::string domain;
  bool all = false;
};
int mailbox_check(const App& app, const WhichMailboxes& which, bool repair);
int mailbox_usage(const App& app, const WhichMailboxes& which);
int mailbox_path(const App& app, const std::string& address);

// auth_commands.cc. The password is asked for, or is the first line of standard input. `from`: an IP address.
int auth_test(const App& app, const std::string& address, const std::string& service, const std::string& from);

// alias_commands.cc
int alias_add(const App& app, const std::string& source, const std::vector<std::string>& destinations);
int alias_list(const App& app, const std::string& domain);  // all domains when empty
int alias_show(const App& app, const std::string& source);
int alias_remove(const App& app, const std::string& source, const std::string& destination);  // all when empty
int alias_enable(const App& app, const std::string& source, const std::string& destination, bool enable);

int catch_all_list(const App& app);

// extra_domain_commands.cc: alias domains and relay domains. `target`: of an alias domain.
int extra_domain_add(const App& app, DomainKind kind, const std::string& name, const std::string& target);
int extra_domain_list(const App& app, DomainKind kind);
int extra_domain_remove(const App& app, DomainKind kind, const std::string& name);
int extra_domain_enable(const App& app, DomainKind kind, const std::string& name, bool enable);

// rule_commands.cc. `name` of a list: all when empty; `value`: all of that name when empty.
int rule_add(const App& app, directory::RuleKind kind, const std::string& name, const std::string& value);
int rule_list(const App& app, const std::vector<directory::RuleKind>& kinds, const std::string& name);
int rule_remove(const App& app, directory::RuleKind kind, const std::string& name, const std::string& value);
int rule_enable(const App& app, directory::RuleKind kind, const std::string& name, const std::string& value,
                bool enable);

// limits_commands.cc. `name`: a login, @DOMAIN or a network; all when empty. Releasing and discarding is for root, on
// the host whose queue holds the messages.
int limits_show(const App& app, const std::string& name);
int limits_set(const App& app, const std::string& name, const std::vector<std::string>& limits);
int limits_reset(const App& app, const std::string& name);
int limits_release(const App& app, const std::string& login);
int limits_discard(const App& app, const std::string& login);

// throttle_commands.cc. `name`: an address or an IP address.
int throttle_show(const App& app);
int throttle_why(const App& app, const std::string& name);
int throttle_clear(const App& app, const std::string& name, bool all);

// daemon_commands.cc. `only`: the daemon of that section (maps, auth, store); all when empty. The exit status of the
// first, and of the second with `check`, is what monitoring expects: 0 good, 1 warning, 2 critical, 3 unknown.
int status(const App& app, const std::string& only);
int cache_stats(const App& app, const std::string& only, bool check);
int cache_show(const App& app, const std::string& only, const std::string& key);
int cache_flush(const App& app, const std::string& only, const std::vector<std::string>& keys, bool all);
int cache_confirm(const App& app, const std::string& only);
// Tells the level, or changes it when `level` is not empty.
int log_level(const App& app, const std::string& only, const std::string& level);

// map_commands.cc. The exit status of the first: 0 found, 1 not found, 75 (EX_TEMPFAIL) where Postfix would defer, 78
// (EX_CONFIG) when there is no such map. Of the second: 0 when all agrees, else 1.
int map_get(const App& app, const std::string& map, const std::string& key);
int check_postfix(const App& app);

}  // namespace vmail::sql
