#include "shared/directory/sql_rows.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "shared/base/address.h"
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

// Where the columns of the text `credentials` are. For older schemas it has the first three alone.
enum Column : std::size_t {
  kAddress,
  kEnable,
  kHash,
  kSelector,  // of an app password; NULL: this is the login itself
  kServices,
  kNetworks,
  kNotBefore,
  kNotAfter,
  kScram,
  kAppPasswordsOnly,
  kId,
  kLabel,
};

std::string text_of(const mysql::Row& row, Column column) {
  return column < row.size() ? row[column].value_or("") : "";
}

Secret take_secret(mysql::Row& row, Column column) {
  return column < row.size() && row[column] ? Secret::take(*row[column]) : Secret();
}

// False: it is no number.
bool read_seconds(const std::string& text, std::int64_t& seconds) {
  if (text.empty()) return true;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return error == std::errc() && end == text.data() + text.size();
}

// False: its times make no sense.
bool read_access(const mysql::Row& row, Access& access) {
  access.services = fold_case(text_of(row, kServices));
  access.networks = text_of(row, kNetworks);
  return read_seconds(text_of(row, kNotBefore), access.not_before) &&
         read_seconds(text_of(row, kNotAfter), access.not_after);
}

void read_login(mysql::Row& row, const std::string& key, CredentialRow& login) {
  if (std::exchange(login.exists, true)) login.fault = "there are two mailboxes " + printable(key);
  login.on = is_on(row.at(kEnable));
  login.domain = own_spelling(*row[kAddress], key);
  login.hash = take_secret(row, kHash);
  login.scram = take_secret(row, kScram);
  login.app_passwords_only = text_of(row, kAppPasswordsOnly) == "1";
  if (!read_access(row, login.access)) login.fault = "the login " + printable(key) + " is limited to what is no time";
}

void read_app_password(mysql::Row& row, const std::string& key, CredentialRow& login) {
  if (login.app_passwords.size() == kMaxAppPasswords) {
    login.fault =
        "the login " + printable(key) + " has more than " + std::to_string(kMaxAppPasswords) + " app passwords";
    return;
  }
  AppPassword& password = login.app_passwords.emplace_back();
  password.id = parse_number(text_of(row, kId)).value_or(0);
  password.selector = text_of(row, kSelector);
  password.label = text_of(row, kLabel);
  password.hash = take_secret(row, kHash);
  if (!read_access(row, password.access)) {
    login.fault =
        "the app password " + printable(password.selector) + " of " + printable(key) + " is limited to what is no time";
  }
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
    if (!row.at(kAddress)) continue;
    const auto found = result.find(address_key(*row[kAddress]));
    if (found == result.end()) continue;
    const bool of_app = kSelector < row.size() && row[kSelector];
    (of_app ? read_app_password : read_login)(row, found->first, found->second);
  }
  // App passwords that somebody left behind.
  for (auto& [key, row] : result) {
    if (!row.exists) row = CredentialRow{};
  }
  return result;
}

MailboxPage read_mailboxes(const std::vector<mysql::Row>& rows) {
  MailboxPage page;
  for (const auto& row : rows) {
    page.last = parse_number(row.at(0).value_or("")).value_or(page.last);
    if (!row.at(1) || !is_on(row.at(2))) continue;
    // What is no address is nobody's mailbox.
    if (const auto address = parse_address(*row[1])) page.mailboxes.push_back({page.last, address->text()});
  }
  return page;
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
