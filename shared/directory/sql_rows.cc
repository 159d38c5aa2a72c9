#include "shared/directory/sql_rows.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "shared/base/text.h"
#include "shared/directory/idn.h"

namespace vmail::directory {
namespace {

// How the row spells the domain, when that is not how the key does.
std::string own_spelling(std::string_view stored, const std::string& key) {
  std::string domain = fold_case(stored.substr(stored.rfind('@') + 1));
  return key.compare(key.rfind('@') + 1, std::string::npos, domain) == 0 ? "" : domain;
}

// One row may hold several destinations, separated by commas, as Postfix takes them too; a comma in quotes is none.
// False for what no mail system could use.
bool add_destinations(std::string_view text, AddressList& destinations) {
  const auto add = [&](std::string_view part) {
    part = trim(part);
    if (part.empty()) return false;
    if (!destinations.contains(part)) destinations.add(part);
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
      if (!add(text.substr(from, i - from))) return false;
      from = i + 1;
    }
  }
  return is_utf8(text) && add(text.substr(from));
}

}  // namespace

bool read_part(Cells cells, AddressPart& part) {
  if (!cells[2]) return false;
  part.key = address_key(*cells[2]);
  if (part.key.empty()) return false;
  part.order = parse_number(cells[1].value_or("")).value_or(0);
  part.row = AddressRow{};
  const bool on = is_on(cells[3]);
  if (cells[0] == "user") {
    part.row.mailbox = on ? AddressRow::Mailbox::On : AddressRow::Mailbox::Off;
    part.row.domain = own_spelling(*cells[2], part.key);
  } else if (!on) {
    part.row.aliases_off = true;
  } else if (!cells[4] || !add_destinations(*cells[4], part.row.destinations)) {
    part.row.destinations.clear();
    part.row.fault = "the alias " + printable(part.key) + " has a destination that is no address";
  }
  return true;
}

FeedAnswer::Note read_note(const mysql::Row& row) {
  FeedAnswer::Note note;
  note.id = parse_number(row.at(0).value_or("")).value_or(0);
  note.witness = row.at(1).value_or("");
  const std::string kind = row.at(2).value_or("");
  const std::string name = row.at(3).value_or("");
  if (kind == "address") {
    note.change = {Change::Kind::Address, address_key(name)};
  } else if (kind == "domain") {
    note.change = {Change::Kind::Domain, a_label(fold_case(name))};
  } else if (kind == "rules") {
    note.change = {Change::Kind::Rules, "rules"};
  } else if (kind != "start") {
    // A kind that this version does not know means at most that.
    note.change.kind = Change::Kind::All;
  }
  return note;
}

AddressRows read_addresses(const std::vector<std::string>& keys, std::vector<mysql::Row> rows) {
  AddressRows result;
  for (const auto& key : keys) result.try_emplace(key);
  std::vector<AddressPart> parts;
  for (const auto& row : rows) {
    const std::vector<std::optional<std::string_view>> cells(row.begin(), row.end());
    AddressPart& part = parts.emplace_back();
    if (!read_part(cells, part) || result.count(part.key) == 0) parts.pop_back();
  }
  // Destinations in the order in which they were entered.
  std::stable_sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.order < b.order; });
  std::unordered_set<std::string> twice;
  for (const auto& part : parts) {
    AddressRow& row = result.at(part.key);
    if (part.row.mailbox != AddressRow::Mailbox::None) {
      if (row.mailbox != AddressRow::Mailbox::None) twice.insert(part.key);
      row.mailbox = part.row.mailbox;
      row.domain = part.row.domain;
    }
    if (row.fault.empty()) row.fault = part.row.fault;
    row.aliases_off = row.aliases_off || part.row.aliases_off;
    for (const auto destination : part.row.destinations) {
      if (!row.destinations.contains(destination)) row.destinations.add(destination);
    }
  }
  for (auto& [key, row] : result) {
    if (twice.count(key) > 0) row.fault = "there are two mailboxes " + printable(key);
    row.aliases_off = row.aliases_off && row.destinations.empty();
    // As a RowSet has it: nothing else counts.
    if (!row.fault.empty()) {
      std::string fault = std::move(row.fault);
      row = AddressRow{};
      row.fault = std::move(fault);
    }
  }
  return result;
}

CredentialRows read_credentials(const std::vector<std::string>& keys, std::vector<mysql::Row> rows) {
  CredentialRows result;
  for (const auto& key : keys) result.try_emplace(key);
  for (auto& row : rows) {
    if (!row.at(0)) continue;
    const auto found = result.find(address_key(*row[0]));
    if (found == result.end()) continue;
    CredentialRow& credentials = found->second;
    if (std::exchange(credentials.exists, true)) {
      credentials.fault = "there are two mailboxes " + printable(found->first);
    }
    credentials.on = is_on(row.at(1));
    credentials.domain = own_spelling(*row[0], found->first);
    if (row.at(2)) credentials.hash = Secret::take(*row[2]);
  }
  return result;
}

std::shared_ptr<Domains> read_domains(const std::vector<mysql::Row>& rows, int schema_version) {
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

std::shared_ptr<const Rules> read_rules(const std::vector<mysql::Row>& rows) {
  auto rules = std::make_shared<Rules>();
  for (const auto& row : rows) {
    const std::string name = row.at(0).value_or("");
    const auto kind = rule_kind(name);
    if (kind) {
      rules->add(*kind, row.at(1).value_or(""), row.at(2).value_or(""));
    } else if (rules->left_out.empty()) {
      rules->left_out = "there is no kind '" + printable(name) + "' of rules";
    }
  }
  return rules;
}

}  // namespace vmail::directory
