// What logins have sent, what they may send, and the messages that are held because of it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "shared/base/text.h"
#include "shared/config/limit.h"
#include "shared/directory/sql_usage_journal.h"
#include "shared/mysql/transaction.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/mail_queue.h"
#include "sql/vmailctl/output.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/rules.h"
#include "sql/vmailctl/run_program.h"

namespace vmail::sql {
namespace {

using config::Limit;

std::string now_text() {
  return std::to_string(std::time(nullptr));
}

std::vector<mysql::Row> query(mysql::Connection& connection, const std::string& sql,
                              const std::vector<mysql::Value>& parameters) {
  try {
    return connection.query(sql, parameters).rows;
  } catch (const mysql::Error& error) {
    if (error.kind() != mysql::ErrorKind::Schema) throw;
    throw Refusal("this database has an older schema, without the tables of limits",
                  "Run `vmailctl schema upgrade` and `vmailctl schema grants` first.");
  }
}

// A login, "@domain", or a network as it is shown.
std::string subject_of(const std::string& text) {
  return text.find('@') == std::string::npos && text.find('/') != std::string::npos ? text : alias_key(text);
}

std::string domain_of(const std::string& subject) {
  const auto at = subject.rfind('@');
  return at == std::string::npos ? "" : subject.substr(at);
}

// What the rules say about it, and what the configuration does otherwise, as the policy server sees it.
class Allowed {
 public:
  Allowed(const config::Settings& settings, mysql::Connection& connection) {
    std::string why;
    for (const auto& text : settings.policy.limits) limits_.push_back(config::parse_limit(text, why).value());
    rules_ = RuleTable(connection).all(RuleKind::Limit);
  }
  std::vector<Limit> of(const std::string& subject) const {
    const std::string domain = domain_of(subject);
    auto limits = config::merge_limits(limits_, rules_of(domain));
    if (domain != subject) limits = config::merge_limits(std::move(limits), rules_of(subject));
    const auto scope = domain.empty()      ? Limit::Scope::Network
                       : domain == subject ? Limit::Scope::Domain
                                           : Limit::Scope::Login;
    std::erase_if(limits, [&](const Limit& limit) { return limit.scope != scope; });
    return limits;
  }

 private:
  std::vector<Limit> rules_of(const std::string& name) const {
    std::vector<Limit> limits;
    std::string why;
    for (const auto& rule : rules_) {
      if (!rule.enabled || name.empty() || rule.key() != name) continue;
      if (const auto limit = config::parse_limit(rule.value, why)) limits.push_back(*limit);
    }
    return limits;
  }
  std::vector<Limit> limits_;
  std::vector<Rule> rules_;
};

Json used_rows(const App& app, mysql::Connection& connection, const std::string& subject) {
  const Allowed allowed(app.settings, connection);
  std::string sql =
      "SELECT subject, measure, period, GREATEST(0, CAST(SUM(amount) AS SIGNED)) FROM vmailkit_usage"
      " WHERE ends > CAST(? AS SIGNED)";
  std::vector<mysql::Value> parameters = {now_text()};
  if (!subject.empty()) {
    sql += " AND subject = ?";
    parameters.emplace_back(subject);
  }
  Json rows = Json::array();
  for (const auto& row : query(connection, sql + " GROUP BY subject, measure, period", parameters)) {
    const std::string name = row.at(0).value_or(""), measure = row.at(1).value_or("");
    const std::chrono::seconds window(parse_number(row.at(2).value_or("")).value_or(0));
    Json allows = nullptr;
    for (const Limit& limit : allowed.of(name)) {
      if (limit.amount && limit.window == window && measure == config::word(limit.measure)) allows = *limit.amount;
    }
    if (measure == "held") allows = app.settings.policy.hold_messages;
    rows.push_back({{"subject", name},
                    {"measure", measure},
                    {"window", config::window_text(window)},
                    {"used", parse_number(row.at(3).value_or("")).value_or(0)},
                    {"allowed", allows}});
  }
  return rows;
}

Json held_rows(mysql::Connection& connection, const std::string& login) {
  std::string sql = "SELECT login, host, queue_id, held_at FROM vmailkit_held";
  std::vector<mysql::Value> parameters;
  if (!login.empty()) {
    sql += " WHERE login = ?";
    parameters.emplace_back(login);
  }
  Json rows = Json::array();
  for (const auto& row : query(connection, sql + " ORDER BY login, held_at, queue_id", parameters)) {
    rows.push_back({{"login", row.at(0).value_or("")},
                    {"host", row.at(1).value_or("")},
                    {"queue_id", row.at(2).value_or("")},
                    {"held_at", parse_number(row.at(3).value_or("")).value_or(0)}});
  }
  return rows;
}

// postsuper's verb on each message of the login that is held here.
int settle_held(const App& app, const std::string& address, const char* flag, const char* done_word) {
  if (::geteuid() != 0) throw Refusal("only root may change Postfix's queue", "Run it as root.");
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const std::string login = address_key(address).text();
  const std::string host = directory::host_name();
  Json settled = Json::array(), elsewhere = Json::array(), failed = Json::array();
  for (const auto& message : held_rows(*connection, login)) {
    const std::string queue_id = message["queue_id"];
    if (message["host"] != host) {
      elsewhere.push_back(message);
      continue;
    }
    const auto sender = logins_of({queue_id});
    if (!sender.empty() && !is_login(catalog, sender.begin()->second, login)) {
      app.output.note(
          fmt::format("{} belongs to {} now, and is left alone", queue_id, printable(sender.begin()->second)));
    } else if (!sender.empty()) {
      const Ran ran = settle_message(flag, queue_id);
      if (ran.status != 0) {
        app.output.note("postsuper: " + ran.complaint());
        failed.push_back(queue_id);
        continue;
      }
      settled.push_back(queue_id);
      if (std::string_view(flag) == "-H") run_program({"postqueue", "-i", queue_id});
    }
    query(*connection, "DELETE FROM vmailkit_held WHERE host = ? AND queue_id = ?", {host, queue_id});
  }
  for (const auto& message : elsewhere) {
    app.output.note(fmt::format("{} is held on {}: run this there", message["queue_id"].get<std::string>(),
                                message["host"].get<std::string>()));
  }
  app.output.done(fmt::format("{} messages of {} have been {}.", settled.size(), login, done_word),
                  {{"login", login}, {done_word, settled}, {"failed", failed}, {"elsewhere", elsewhere}});
  return failed.empty() ? 0 : 1;
}

}  // namespace

int limits_show(const App& app, const std::string& text) {
  const auto connection = connect(app);
  const std::string subject = text.empty() ? "" : subject_of(text);
  const Json used = used_rows(app, *connection, subject);
  const Json held = held_rows(*connection, subject);
  if (app.output.json()) {
    app.output.object({{"used", used}, {"held", held}});
    return 0;
  }
  app.output.table(
      {{"subject", "WHO"}, {"measure", "WHAT"}, {"window", "IN"}, {"used", "USED"}, {"allowed", "ALLOWED"}}, used);
  if (!held.empty()) {
    app.output.text("");
    app.output.table({{"login", "LOGIN"}, {"host", "HELD ON"}, {"queue_id", "QUEUE ID"}}, held);
  }
  return 0;
}

int limits_set(const App& app, const std::string& text, const std::vector<std::string>& limits) {
  const std::string name = alias_key(text);
  std::vector<std::string> values;
  for (const auto& each : limits) {
    std::string why;
    const auto limit = config::parse_limit(each, why);
    if (!limit) throw Refusal(fmt::format("'{}' is no limit: it {}", printable(each), why), "");
    if (limit->scope == Limit::Scope::Network || (limit->scope == Limit::Scope::Domain && name.front() != '@')) {
      throw Refusal(fmt::format("'{}' is not a limit of {}", printable(each), name),
                    "A login has limits of its own; @DOMAIN has those of each login in it, and with `domain` before "
                    "them those of all together. Networks have theirs in [policy] limits.");
    }
    values.push_back(config::limit_text(*limit));
  }
  const auto connection = connect(app);
  Catalog catalog(*connection);
  RuleTable table(*connection);
  table.require();
  if (name.front() == '@') {
    require_own_domain(catalog, name.substr(1));
  } else if (!catalog.user(name)) {
    throw Refusal("there is no user " + name, "Limits are those of a login; `vmailctl user list` shows them.");
  }
  mysql::Transaction transaction(*connection);
  table.remove(table.named(RuleKind::Limit, name));
  for (const auto& value : values) table.add(RuleKind::Limit, name, value);
  transaction.commit();
  tell_daemons(app, {"*"});
  app.output.done(values.empty() ? name + " has the limits of its domain or the configuration again."
                                 : fmt::format("{} may send: {}.", name, fmt::join(values, ", ")),
                  {{"name", name}, {"limits", values}});
  return 0;
}

// What others have written is theirs: a reset is an amount of its own writer, which makes each sum zero.
int limits_reset(const App& app, const std::string& text) {
  const auto connection = connect(app);
  const std::string subject = subject_of(text);
  const auto rows = query(*connection,
                          "SELECT measure, period, slot, CAST(-SUM(amount) AS SIGNED), MAX(ends) FROM vmailkit_usage"
                          " WHERE subject = ? AND writer <> 'reset' AND ends > CAST(? AS SIGNED)"
                          " GROUP BY measure, period, slot",
                          {subject, now_text()});
  mysql::Transaction transaction(*connection);
  for (const auto& row : rows) {
    query(*connection,
          "INSERT INTO vmailkit_usage (subject, measure, period, slot, writer, amount, ends)"
          " VALUES (?, ?, CAST(? AS UNSIGNED), CAST(? AS SIGNED), 'reset', CAST(? AS SIGNED), CAST(? AS SIGNED))"
          " ON DUPLICATE KEY UPDATE amount = VALUES(amount)",
          {subject, row.at(0), row.at(1), row.at(2), row.at(3), row.at(4)});
  }
  transaction.commit();
  app.output.done(fmt::format("{} begins anew: nothing it has sent counts any more.", subject), {{"reset", subject}});
  return 0;
}

int limits_release(const App& app, const std::string& login) {
  return settle_held(app, login, "-H", "released");
}

int limits_discard(const App& app, const std::string& login) {
  return settle_held(app, login, "-d", "discarded");
}

}  // namespace vmail::sql
