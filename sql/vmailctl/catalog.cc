#include "sql/vmailctl/catalog.h"

#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

bool is_on(const mysql::Value& value) {
  return value == "1";
}
std::string text(const mysql::Value& value) {
  return value.value_or("");
}
std::uint64_t number(const mysql::Value& value) {
  return parse_number(text(value)).value_or(0);
}

// How rows may spell the key: with the A-label and with the U-label of its domain.
std::vector<mysql::Value> spellings(const std::string& key) {
  const auto at = key.rfind('@');
  const auto domain = at == std::string::npos ? 0 : at + 1;
  return {key, key.substr(0, domain) + directory::u_label(key.substr(domain))};
}

std::string domain_key_of(const std::string& stored) {
  return directory::a_label(fold_case(stored));
}

// '!' is the escape character of every LIKE here.
std::string escape_like(const std::string& plain) {
  std::string pattern;
  for (const char c : plain) {
    if (c == '%' || c == '_' || c == '!') pattern += '!';
    pattern += c;
  }
  return pattern;
}

}  // namespace

Catalog::Catalog(mysql::Connection& connection) : connection_(connection) {
  const auto found = connection.query(
      "SELECT (SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()"
      "  AND table_name IN ('virtual_domains', 'virtual_aliases') AND column_name = 'enable')"
      " + (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"
      "  AND table_name IN ('virtual_alias_domains', 'virtual_relay_domains'))");
  upgraded_ = found.rows.at(0).at(0) == "4";
}

void Catalog::require_upgraded() const {
  if (upgraded_) return;
  throw Refusal("this database still has an older schema, which vmailctl reads but does not write",
                "Run `vmailctl schema upgrade` first (`vmailctl schema upgrade --dry-run` shows what it would do).");
}

std::vector<Domain> Catalog::read_domains(const std::string& condition, std::vector<mysql::Value> parameters) {
  std::vector<Domain> domains;
  const std::string enable = upgraded_ ? "d.enable" : "1";
  const auto own = connection_.query("SELECT d.id, d.name, " + enable +
                                         ", (SELECT COUNT(*) FROM virtual_users u WHERE u.domain_id = d.id)"
                                         ", (SELECT COUNT(*) FROM virtual_aliases a WHERE a.domain_id = d.id)"
                                         " FROM virtual_domains d" +
                                         condition + " ORDER BY d.name, d.id",
                                     parameters);
  for (const auto& row : own.rows) {
    domains.push_back({DomainKind::Own, text(row[0]), text(row[1]), "", is_on(row[2]), number(row[3]), number(row[4])});
  }
  if (!upgraded_) return domains;
  const auto alias = connection_.query(
      "SELECT d.name, d.target, d.enable FROM virtual_alias_domains d" + condition + " ORDER BY d.name", parameters);
  for (const auto& row : alias.rows) {
    domains.push_back({DomainKind::Alias, "", text(row[0]), text(row[1]), is_on(row[2]), 0, 0});
  }
  const auto relay = connection_.query(
      "SELECT d.name, d.enable FROM virtual_relay_domains d" + condition + " ORDER BY d.name", parameters);
  for (const auto& row : relay.rows) domains.push_back({DomainKind::Relay, "", text(row[0]), "", is_on(row[1]), 0, 0});
  return domains;
}

std::vector<Domain> Catalog::domains() {
  return read_domains("", {});
}

std::optional<Domain> Catalog::domain(const std::string& name) {
  for (auto& domain : read_domains(" WHERE d.name IN (?, ?)", spellings(name))) {
    if (domain_key_of(domain.name) == name) return std::move(domain);
  }
  return std::nullopt;
}

std::vector<Domain> Catalog::alias_domains_of(const std::string& target) {
  std::vector<Domain> domains;
  if (!upgraded_) return domains;
  const auto found = connection_.query(
      "SELECT name, target, enable FROM virtual_alias_domains WHERE target IN (?, ?) ORDER BY name", spellings(target));
  for (const auto& row : found.rows) {
    domains.push_back({DomainKind::Alias, "", text(row[0]), text(row[1]), is_on(row[2]), 0, 0});
  }
  return domains;
}

std::vector<User> Catalog::read_users(const std::string& condition, std::vector<mysql::Value> parameters) {
  std::vector<User> users;
  const auto found = connection_.query(
      "SELECT u.id, u.email, u.domain_id, d.name, u.enable FROM virtual_users u"
      " LEFT JOIN virtual_domains d ON d.id = u.domain_id" +
          condition + " ORDER BY d.name, u.email",
      parameters);
  for (const auto& row : found.rows) {
    users.push_back({text(row[0]), text(row[1]), text(row[2]), text(row[3]), is_on(row[4])});
  }
  return users;
}

std::vector<User> Catalog::users(const std::string& domain_id) {
  if (domain_id.empty()) return read_users("", {});
  return read_users(" WHERE u.domain_id = ?", {domain_id});
}

std::optional<User> Catalog::user(const std::string& address) {
  for (auto& user : read_users(" WHERE u.email IN (?, ?)", spellings(address))) {
    if (directory::address_key(user.address) == address) return std::move(user);
  }
  return std::nullopt;
}

std::vector<Alias> Catalog::read_aliases(const std::string& condition, std::vector<mysql::Value> parameters) {
  std::vector<Alias> aliases;
  const std::string enable = upgraded_ ? "enable" : "1";
  const auto found = connection_.query(
      "SELECT id, source, destination, " + enable + " FROM virtual_aliases" + condition + " ORDER BY source, id",
      parameters);
  for (const auto& row : found.rows) aliases.push_back({text(row[0]), text(row[1]), text(row[2]), is_on(row[3])});
  return aliases;
}

std::vector<Alias> Catalog::aliases(const std::string& domain_id) {
  if (domain_id.empty()) return read_aliases("", {});
  return read_aliases(" WHERE domain_id = ?", {domain_id});
}

std::vector<Alias> Catalog::aliases_at(const std::string& source) {
  std::vector<Alias> aliases;
  for (auto& alias : read_aliases(" WHERE source IN (?, ?)", spellings(source))) {
    if (directory::address_key(alias.source) == source) aliases.push_back(std::move(alias));
  }
  return aliases;
}

std::vector<Alias> Catalog::aliases_to(const std::string& destination) {
  const bool whole_domain = destination.front() == '@';
  std::vector<mysql::Value> keys = spellings(destination);
  if (whole_domain) {
    for (auto& key : keys) key = '%' + escape_like(*key);
  }
  std::vector<Alias> aliases;
  for (auto& alias : read_aliases(whole_domain ? " WHERE destination LIKE ? ESCAPE '!' OR destination LIKE ? ESCAPE '!'"
                                               : " WHERE destination IN (?, ?)",
                                  std::move(keys))) {
    const std::string key = directory::address_key(alias.destination);
    if (key.empty() || (whole_domain ? key.substr(key.rfind('@')) : key) != destination) continue;
    aliases.push_back(std::move(alias));
  }
  return aliases;
}

std::vector<std::string> Catalog::destinations(const std::string& source) {
  std::vector<std::string> destinations;
  for (const auto& alias : aliases_at(source)) {
    // Rows that were typed in by hand may hold several, as Postfix's tables may.
    for (const auto& destination : split(alias.destination, ',')) {
      const std::string key = directory::address_key(trim(destination));
      if (!key.empty()) destinations.push_back(key);
    }
  }
  return destinations;
}

bool Catalog::mailbox(const std::string& address) {
  return user(address).has_value();
}

std::optional<std::string> Catalog::alias_target(const std::string& name) {
  const auto found = domain(name);
  if (!found || found->kind != DomainKind::Alias) return std::nullopt;
  return domain_key_of(found->target);
}

bool Catalog::own_domain(const std::string& name) {
  const auto found = domain(name);
  return found && found->kind == DomainKind::Own;
}

}  // namespace vmail::sql
