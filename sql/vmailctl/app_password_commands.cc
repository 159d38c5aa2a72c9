// Passwords for one program or device each, beside that of the login.
#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"
#include "shared/directory/rows.h"
#include "shared/password/app_password.h"
#include "sql/vmailctl/access_values.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/app_passwords.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/dovecot.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/logins.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

constexpr std::size_t kLongestLabel = 255;
constexpr int kTries = 3;  // until one has a selector that nobody has: the first nearly always does

void require_label(const std::string& label) {
  const bool plain =
      is_utf8(label) && std::none_of(label.begin(), label.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (plain && !trim(label).empty() && label.size() <= kLongestLabel) return;
  throw Refusal(fmt::format("'{}' cannot be a label", printable(label)),
                "It says what the password is for, such as 'phone', in up to 255 bytes of plain text.");
}

void refuse_one_more(const std::vector<AppPasswordRow>& rows, const std::string& address, const std::string& label) {
  for (const auto& row : rows) {
    if (row.label != label) continue;
    throw Refusal(
        fmt::format("{} has an app password '{}' already", address, label),
        fmt::format("To make it anew, revoke that first: vmailctl app-password revoke {} {}", address, row.selector));
  }
  if (rows.size() < directory::kMaxAppPasswords) return;
  throw Refusal(fmt::format("{} has {} app passwords, which is all that a login may have", address, rows.size()),
                fmt::format("`vmailctl app-password list {}` shows which are not used any more.", address));
}

password::NewAppPassword insert(AppPasswordTable& table, AppPasswordRow& row) {
  for (int left = kTries;; --left) {
    auto made = password::make_app_password();
    row.selector = made.selector;
    try {
      table.add(row, made.hash);
      return made;
    } catch (const mysql::Error& error) {
      if (error.kind() != mysql::ErrorKind::Duplicate || left == 1) throw;
    }
  }
}

Json as_json(const AppPasswordRow& row) {
  const auto time = [](std::int64_t seconds) { return seconds == 0 ? Json() : Json(time_text(seconds)); };
  return {{"address", row.address},
          {"selector", row.selector},
          {"label", row.label},
          {"services", row.services.empty() ? "all" : row.services},
          {"networks", row.networks.empty() ? "all" : row.networks},
          {"expires", time(row.not_after)},
          {"last_used", time(row.last_used)},
          {"last_ip", row.last_ip.empty() ? Json() : Json(row.last_ip)},
          {"enabled", row.enabled}};
}

}  // namespace

int app_password_add(const App& app, const std::string& argument, const AppPasswordWish& wish) {
  const std::string address = address_key(argument).text();
  require_label(wish.label);
  AppPasswordRow row;
  row.label = wish.label;
  if (wish.services) row.services = services_value(*wish.services);
  if (wish.networks) row.networks = networks_value(*wish.networks);
  row.not_after = time_value(wish.expires, OfDay::End);

  const auto connection = connect(app);
  Catalog catalog(*connection);
  AppPasswordTable table(*connection);
  table.require();
  row.address = fold_case(require_user(catalog, address).address);
  refuse_one_more(table.of(address), address, wish.label);
  const auto made = insert(table, row);
  tell_of_logins(app, {address});
  Json result = as_json(row);
  result["password"] = made.password.text();
  app.output.done(fmt::format("{}\n  This is the app password '{}' of {}; it is not shown again.", made.password.text(),
                              row.label, row.address),
                  result);
  return 0;
}

int app_password_list(const App& app, const std::string& argument) {
  const auto connection = connect(app);
  Catalog catalog(*connection);
  AppPasswordTable table(*connection);
  table.require();
  std::string address;
  if (!argument.empty()) {
    address = address_key(argument).text();
    require_user(catalog, address);
  }
  Json rows = Json::array();
  for (const auto& row : table.of(address)) rows.push_back(as_json(row));
  app.output.table({{"address", "USER"},
                    {"selector", "SELECTOR"},
                    {"label", "LABEL"},
                    {"services", "SERVICES"},
                    {"networks", "NETWORKS"},
                    {"expires", "EXPIRES"},
                    {"last_used", "LAST USED"},
                    {"last_ip", "FROM"}},
                   rows);
  return 0;
}

int app_password_revoke(const App& app, const std::string& argument, const std::string& which) {
  const std::string address = address_key(argument).text();
  const auto connection = connect(app);
  AppPasswordTable table(*connection);
  table.require();
  for (const auto& row : table.of(address)) {
    if (row.selector != which && row.label != which) continue;
    table.remove(row.id);
    tell_of_logins(app, {address});
    app.output.done(
        fmt::format("Revoked the app password '{}' ({}) of {}.", printable(row.label), row.selector, address),
        {{"address", row.address}, {"revoked", row.selector}, {"label", row.label}});
    return 0;
  }
  throw Refusal(fmt::format("{} has no app password '{}'", address, printable(which)),
                fmt::format("vmailctl app-password list {}", address));
}

}  // namespace vmail::sql
