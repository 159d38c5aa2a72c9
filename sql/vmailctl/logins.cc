#include "sql/vmailctl/logins.h"

#include <fmt/format.h>

#include <stdexcept>

#include "shared/mysql/secret_query.h"
#include "shared/password/password.h"
#include "shared/password/scram.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {

User require_user(Catalog& catalog, const std::string& address) {
  auto user = catalog.user(address);
  if (user) return std::move(*user);
  const std::string domain = address.substr(address.rfind('@') + 1);
  if (!catalog.aliases_at(address).empty()) {
    throw Refusal(fmt::format("{} is an alias, not a user", address), fmt::format("vmailctl alias show {}", address));
  }
  require_own_domain(catalog, domain);
  throw Refusal(fmt::format("there is no user {}", address), fmt::format("vmailctl user list {}", domain));
}

Secret hash_of(const App& app, const Secret& password) {
  const auto& settings = app.settings.passwords;
  try {
    std::string hash = password::make(password, password::scheme_to_make(settings.scheme), {settings.rounds});
    return Secret::take(hash);
  } catch (const std::invalid_argument& error) {
    throw Refusal(fmt::format("this password cannot be used: {}", error.what()), "Nothing was changed.");
  }
}

void change_password(const App& app, mysql::Connection& connection, const User& user, const Secret& password) {
  const Secret hash = hash_of(app, password);
  const mysql::Value id[] = {user.id};
  const bool keeps_keys =
      AppPasswordTable(connection).exists() &&
      (app.settings.passwords.capture_scram ||
       !connection.query("SELECT 1 FROM virtual_users WHERE id = ? AND scram_sha256 IS NOT NULL", id).rows.empty());
  if (!keeps_keys) {
    mysql::query_with_secrets(connection, "UPDATE virtual_users SET password = ? WHERE id = ?", {hash.view()},
                              {user.id});
    return;
  }
  std::string text = password::make_scram_sha256(password);
  const Secret keys = Secret::take(text);
  mysql::query_with_secrets(
      connection, "UPDATE virtual_users SET password = ?, scram_for = SHA2(?, 256), scram_sha256 = ? WHERE id = ?",
      {hash.view(), hash.view(), keys.view()}, {user.id});
}

}  // namespace vmail::sql
