#include "shared/directory/sql_database.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <unordered_set>

#include "shared/base/text.h"
#include "shared/directory/idn.h"

namespace vmail::directory {
namespace {

constexpr int kUnknownVersion = -1;

// A column that cannot hold a key has no row with it, but servers call the comparison an error.
bool is_collation_error(unsigned code) {
  switch (code) {
    case 1267:  // illegal mix of collations, of two
    case 1270:  // of three
    case 1271:  // of several
    case 1300:  // invalid character string
    case 3988:  // conversion impossible (MySQL)
      return true;
    default:
      return false;
  }
}

// Both spellings of each key: which of them a row has, only the database knows.
std::vector<mysql::Value> spellings(const std::vector<std::string>& keys) {
  std::vector<mysql::Value> all;
  all.reserve(keys.size());
  for (const auto& key : keys) {
    all.emplace_back(key);
    const auto domain = key.rfind('@') + 1;
    const std::string readable = u_label(std::string_view(key).substr(domain));
    if (key.compare(domain, std::string::npos, readable) != 0) all.emplace_back(key.substr(0, domain) + readable);
  }
  return all;
}

// How the row spells the domain, when that is not how the key does.
std::string own_spelling(const std::string& stored, const std::string& key) {
  std::string domain = fold_case(std::string_view(stored).substr(stored.rfind('@') + 1));
  return key.compare(key.rfind('@') + 1, std::string::npos, domain) == 0 ? "" : domain;
}

bool is_on(const mysql::Value& enable) {
  return enable && *enable == "1";
}

// One row may hold several destinations, separated by commas, as Postfix takes them too; a comma in quotes is none.
// False for what no mail system could use.
bool add_destinations(const std::string& text, std::vector<std::string>& destinations) {
  const auto add = [&](std::string_view part) {
    part = trim(part);
    if (part.empty()) return false;
    if (std::find(destinations.begin(), destinations.end(), part) == destinations.end())
      destinations.emplace_back(part);
    return true;
  };
  std::size_t from = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7f) return false;
    if (text[i] == '\\' && quoted) {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == ',' && !quoted) {
      if (!add(std::string_view(text).substr(from, i - from))) return false;
      from = i + 1;
    }
  }
  return is_utf8(text) && add(std::string_view(text).substr(from));
}

}  // namespace

// Workers' side: which texts are to be asked, found out from the database itself.
struct SqlDatabase::Schema {
  explicit Schema(Preset its_preset) : preset(std::move(its_preset)) {}

  const Preset preset;
  std::atomic<int> version{kUnknownVersion};

  int detect(mysql::Connection& connection) {
    int found = 0;
    try {
      const auto result = connection.query(preset.text("schema-version", 0));
      if (!result.rows.empty() && result.rows[0][0]) {
        found = static_cast<int>(parse_number(*result.rows[0][0]).value_or(0));
      }
    } catch (const mysql::Error& error) {
      if (error.kind() != mysql::ErrorKind::Schema) throw;
      // No such table: the original, version 0.
    }
    version = found;
    return found;
  }

  // The rows of a text with keys. When it does not fit the schema any more, the schema is looked at again.
  std::vector<mysql::Row> rows(mysql::Connection& connection, const char* name, const std::vector<mysql::Value>& keys) {
    const int before = version;
    const int first = before == kUnknownVersion ? detect(connection) : before;
    try {
      return rows(connection, name, keys, first);
    } catch (const mysql::Error& error) {
      // A user with rights on single columns is told "denied" about one that is not there.
      const bool schema = error.kind() == mysql::ErrorKind::Schema || error.kind() == mysql::ErrorKind::Denied;
      if (!schema || before == kUnknownVersion || detect(connection) == before) throw;
      return rows(connection, name, keys, version);
    }
  }

  std::vector<mysql::Row> rows(mysql::Connection& connection, const char* name, const std::vector<mysql::Value>& keys,
                               int at_version) {
    try {
      std::size_t uses = 0;
      const std::string sql = expand_keys(preset.text(name, at_version), keys.size(), uses);
      std::vector<mysql::Value> parameters;
      parameters.reserve(keys.size() * uses);
      for (; uses > 0; --uses) parameters.insert(parameters.end(), keys.begin(), keys.end());
      return connection.query(sql, parameters).rows;
    } catch (const mysql::Error& error) {
      if (!is_collation_error(error.code())) throw;
    }
    std::vector<mysql::Row> all;
    if (keys.size() == 1) return all;
    for (const auto& key : keys) {
      for (auto& row : rows(connection, name, {key}, at_version)) all.push_back(std::move(row));
    }
    return all;
  }
};

SqlDatabase::SqlDatabase(Loop& loop, const Clock& clock, mysql::Options options, mysql::Pool::Limits limits,
                         Preset preset)
    : schema_(std::make_shared<Schema>(std::move(preset))), pool_(loop, clock, std::move(options), limits) {}

SqlDatabase::~SqlDatabase() = default;

void SqlDatabase::domains(Instant deadline, Done<std::shared_ptr<const Domains>> done) {
  pool_.ask<std::shared_ptr<const Domains>>(
      "domains", deadline,
      [schema = schema_](mysql::Connection& connection) {
        // Asked each time: an upgrade is noticed although the old texts go on working.
        const int version = schema->detect(connection);
        return read_domains(connection.query(schema->preset.text("domains", version)).rows, version);
      },
      std::move(done));
}

void SqlDatabase::addresses(std::vector<std::string> keys, Instant deadline, Done<AddressRows> done) {
  pool_.ask<AddressRows>(
      "addresses", deadline,
      [schema = schema_, keys = std::move(keys)](mysql::Connection& connection) {
        return read_addresses(keys, schema->rows(connection, "addresses", spellings(keys)));
      },
      std::move(done));
}

void SqlDatabase::credentials(std::vector<std::string> keys, Instant deadline, Done<CredentialRows> done) {
  pool_.ask<CredentialRows>(
      "credentials", deadline,
      [schema = schema_, keys = std::move(keys)](mysql::Connection& connection) {
        return read_credentials(keys, schema->rows(connection, "credentials", spellings(keys)));
      },
      std::move(done));
}

AddressRows read_addresses(const std::vector<std::string>& keys, std::vector<mysql::Row> rows) {
  AddressRows result;
  for (const auto& key : keys) result.try_emplace(key);
  // Destinations in the order in which they were entered.
  std::stable_sort(rows.begin(), rows.end(), [](const mysql::Row& a, const mysql::Row& b) {
    return parse_number(a.at(1).value_or("")) < parse_number(b.at(1).value_or(""));
  });
  std::unordered_set<std::string> with_aliases_off;
  for (const auto& row : rows) {
    if (!row.at(2)) continue;
    const auto found = result.find(address_key(*row[2]));
    if (found == result.end()) continue;
    const std::string& key = found->first;
    AddressRow& address = found->second;
    const bool on = is_on(row.at(3));
    if (row[0] == "user") {
      if (address.mailbox != AddressRow::Mailbox::None) address.fault = "there are two mailboxes " + printable(key);
      address.mailbox = on ? AddressRow::Mailbox::On : AddressRow::Mailbox::Off;
      address.domain = own_spelling(*row[2], key);
    } else if (!on) {
      with_aliases_off.insert(key);
    } else if (!row.at(4) || !add_destinations(*row[4], address.destinations)) {
      address.fault = "the alias " + printable(key) + " has a destination that is no address";
    }
  }
  for (const auto& key : with_aliases_off) {
    AddressRow& address = result.at(key);
    address.aliases_off = address.destinations.empty();
  }
  return result;
}

CredentialRows read_credentials(const std::vector<std::string>& keys, std::vector<mysql::Row> rows) {
  CredentialRows result;
  for (auto& row : rows) {
    if (!row.at(0)) continue;
    const std::string key = address_key(*row[0]);
    CredentialRow credentials;
    credentials.on = is_on(row.at(1));
    credentials.domain = own_spelling(*row[0], key);
    if (row.at(2)) credentials.hash = Secret::take(*row[2]);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
    const auto [place, fresh] = result.try_emplace(key, std::move(credentials));
    if (!fresh) place->second.fault = "there are two mailboxes " + printable(key);
  }
  return result;
}

std::shared_ptr<const Domains> read_domains(const std::vector<mysql::Row>& rows, int schema_version) {
  auto domains = std::make_shared<Domains>();
  domains->schema_version = schema_version;
  for (const auto& row : rows) {
    if (!row.at(1)) continue;
    if (row[0] == "own") domains->add_own(*row[1]);
    if (row[0] == "relay") domains->add_relay(*row[1]);
    if (row[0] == "alias" && row.at(2)) domains->add_alias(*row[1], *row[2]);
  }
  domains->finish();
  return domains;
}

}  // namespace vmail::directory
