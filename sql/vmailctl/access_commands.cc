// What logins may be used for: services, networks, times, and whether app passwords alone open the mail services.
#include <fmt/format.h>

#include "shared/base/text.h"
#include "sql/vmailctl/access_values.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/dovecot.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/logins.h"

namespace vmail::sql {
namespace {

// Columns that are to be set, and their values.
struct Assignments {
  std::string columns;
  std::vector<mysql::Value> values;

  void add(const char* column, std::string value) {
    columns += fmt::format("{}{} = ?", columns.empty() ? "" : ", ", column);
    values.emplace_back(std::move(value));
  }
};

Json time_json(const mysql::Value& seconds) {
  const auto time = static_cast<std::int64_t>(parse_number(seconds.value_or("0")).value_or(0));
  return time == 0 ? Json() : Json(time_text(time));
}

Json access_of(mysql::Connection& connection, const User& user) {
  const mysql::Value id[] = {user.id};
  const auto rows = connection
                        .query(
                            "SELECT u.services, u.networks, u.not_before, u.not_after, u.app_passwords_only <> 0,"
                            " COALESCE(d.app_passwords_only, 0) <> 0 FROM virtual_users u"
                            " LEFT JOIN virtual_domains d ON d.id = u.domain_id WHERE u.id = ?",
                            id)
                        .rows;
  const mysql::Row& row = rows.at(0);
  const auto list = [](const mysql::Value& text) { return Json(words(text.value_or(""))); };
  return {{"address", user.address},
          {"services", list(row.at(0))},
          {"networks", list(row.at(1))},
          {"not_before", time_json(row.at(2))},
          {"not_after", time_json(row.at(3))},
          {"app_passwords_only", row.at(4) == "1"},
          {"app_passwords_only_in_domain", row.at(5) == "1"}};
}

void show(const App& app, Json access) {
  if (!app.output.json()) {
    if (access["services"].empty()) access["services"] = "all";
    if (access["networks"].empty()) access["networks"] = "all";
  }
  app.output.record({{"address", "User"},
                     {"services", "Services"},
                     {"networks", "From networks"},
                     {"not_before", "Not before"},
                     {"not_after", "Not after"},
                     {"app_passwords_only", "App passwords only"},
                     {"app_passwords_only_in_domain", "So says the domain"}},
                    access);
}

}  // namespace

int user_access(const App& app, const std::string& argument, const AccessChange& change) {
  const std::string address = address_key(argument).text();
  Assignments set;
  if (change.services) set.add("services", services_value(*change.services));
  if (change.networks) set.add("networks", networks_value(*change.networks));
  if (change.not_before) set.add("not_before", std::to_string(time_value(*change.not_before, OfDay::Begin)));
  if (change.not_after) set.add("not_after", std::to_string(time_value(*change.not_after, OfDay::End)));
  if (change.app_passwords_only) set.add("app_passwords_only", *change.app_passwords_only ? "1" : "0");

  const auto connection = connect(app);
  Catalog catalog(*connection);
  const User user = require_user(catalog, address);
  AppPasswordTable(*connection).require();
  if (!set.values.empty()) {
    set.values.emplace_back(user.id);
    connection->query("UPDATE virtual_users SET " + set.columns + " WHERE id = ?", set.values);
    tell_of_logins(app, {address});
  }
  show(app, access_of(*connection, user));
  return 0;
}

int domain_access(const App& app, const std::string& argument, std::optional<bool> app_passwords_only) {
  const std::string name = domain_key(argument);
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const Domain domain = require_own_domain(catalog, name);
  AppPasswordTable(*connection).require();
  const mysql::Value id[] = {domain.id};
  if (app_passwords_only) {
    const mysql::Value row[] = {*app_passwords_only ? "1" : "0", domain.id};
    connection->query("UPDATE virtual_domains SET app_passwords_only = ? WHERE id = ?", row);
    tell_of_logins(app, {'@' + name});
  }
  const auto now = connection->query("SELECT app_passwords_only <> 0 FROM virtual_domains WHERE id = ?", id).rows;
  app.output.record({{"name", "Domain"}, {"app_passwords_only", "App passwords only"}},
                    {{"name", domain.name}, {"app_passwords_only", now.at(0).at(0) == "1"}});
  return 0;
}

}  // namespace vmail::sql
