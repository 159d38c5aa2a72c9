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
constexpr std::size_t kFewKeys = 16;  // more than one address can have
// Of the texts `changes` and `late-changes`.
constexpr std::size_t kNotesLimit = 5000;

// Of what is asked in the background one thread may be at work for long, with everything; the others are for the polls.
mysql::Pool::Limits background_limits(mysql::Pool::Limits limits) {
  limits.threads = 2;
  limits.queue = 10;
  return limits;
}

mysql::Pool::Limits write_limits() {
  mysql::Pool::Limits limits;
  limits.threads = 1;
  limits.queue = 10;
  limits.writes = true;
  return limits;
}

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
std::string own_spelling(std::string_view stored, const std::string& key) {
  std::string domain = fold_case(stored.substr(stored.rfind('@') + 1));
  return key.compare(key.rfind('@') + 1, std::string::npos, domain) == 0 ? "" : domain;
}

template <class Cell>
bool is_on(const std::optional<Cell>& enable) {
  return enable && *enable == "1";
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
      // Few different texts, since each is prepared once and kept: a key that is named twice does no harm.
      std::size_t count = keys.size() <= kFewKeys ? keys.size() : kFewKeys;
      while (count < keys.size()) count *= 2;
      std::size_t uses = 0;
      const std::string sql = expand_keys(preset.text(name, at_version), count, uses);
      std::vector<mysql::Value> parameters;
      parameters.reserve(count * uses);
      for (; uses > 0; --uses) {
        parameters.insert(parameters.end(), keys.begin(), keys.end());
        parameters.insert(parameters.end(), count - keys.size(), keys.back());
      }
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

  std::shared_ptr<const Domains> domains(mysql::Connection& connection, int at_version) {
    return read_domains(connection.query(preset.text("domains", at_version)).rows, at_version);
  }

  FeedAnswer changes(mysql::Connection& connection, const FeedQuestion& question) {
    int at_version = version;
    if (at_version == kUnknownVersion || !preset.has("feed", at_version)) at_version = detect(connection);
    FeedAnswer answer;
    if (!preset.has("feed", at_version)) {
      answer.unavailable =
          "version " + std::to_string(at_version) + " of the schema has none; `vmailctl schema upgrade` makes it";
      return answer;
    }
    try {
      read_changes(connection, question, at_version, answer);
    } catch (const mysql::Error& error) {
      // Tables or routines that are gone, rights that were not given, an account of the triggers that is missing.
      const bool missing = error.kind() == mysql::ErrorKind::Schema || error.kind() == mysql::ErrorKind::Denied ||
                           error.code() == 1305 || error.code() == 1449;
      if (!missing) throw;
      answer = FeedAnswer{};
      answer.unavailable = std::string(error.what()) + "; `vmailctl schema feed on` mends it";
      detect(connection);
    }
    return answer;
  }

  void read_changes(mysql::Connection& connection, const FeedQuestion& question, int at_version, FeedAnswer& answer) {
    const auto feed = connection.query(preset.text("feed", at_version)).rows;
    if (feed.empty() || !is_on(feed[0].at(1))) {
      answer.unavailable = std::string(feed.empty() ? "it has not been set up" : "it is switched off") +
                           "; `vmailctl schema feed on` makes it";
      return;
    }
    const mysql::Row& head = feed[0];
    answer.identity = head.at(0).value_or("") + " on " + head.at(2).value_or("");
    answer.newest = parse_number(head.at(3).value_or("")).value_or(0);
    answer.newest_witness = head.at(4).value_or("");
    if (question.check_triggers) {
      const auto triggers = connection.query(preset.text("triggers", at_version)).rows;
      if (triggers.empty() || !triggers[0].at(0)) {
        answer.unavailable = "triggers of it are missing or lack rights; `vmailctl schema status` tells which";
        return;
      }
      answer.triggers = *triggers[0][0];
    }
    if (!question.spans.empty()) {
      // Few different texts, since each is prepared once: a span that is named twice does no harm.
      std::size_t count = 1;
      while (count < question.spans.size()) count *= 2;
      std::vector<mysql::Value> ids;
      for (std::size_t i = 0; i < count; ++i) {
        const auto& [first, last] = question.spans[std::min(i, question.spans.size() - 1)];
        ids.emplace_back(std::to_string(first));
        ids.emplace_back(std::to_string(last));
      }
      answer.more_late =
          read_notes(connection, expand_spans(preset.text("late-changes", at_version), count), ids, answer.late);
    }
    if (question.from > 0) {
      answer.more =
          read_notes(connection, preset.text("changes", at_version), {std::to_string(question.from)}, answer.notes);
    }
  }

  // True: there may be more.
  static bool read_notes(mysql::Connection& connection, const std::string& sql, const std::vector<mysql::Value>& ids,
                         std::vector<FeedAnswer::Note>& notes) {
    const auto rows = connection.query(sql, ids).rows;
    notes.reserve(rows.size());
    for (const auto& row : rows) notes.push_back(read_note(row));
    return rows.size() >= kNotesLimit;
  }
};

SqlDatabase::SqlDatabase(Loop& loop, const Clock& clock, std::shared_ptr<mysql::Hosts> hosts, mysql::Options options,
                         mysql::Pool::Limits limits, Preset preset)
    : schema_(std::make_shared<Schema>(std::move(preset))),
      hosts_(std::move(hosts)),
      prober_(loop, clock, hosts_, options.copy()),
      lookups_(loop, clock, hosts_, options.copy(), limits),
      background_(loop, clock, hosts_, options.copy(), background_limits(limits)),
      writes_(loop, clock,
              std::make_shared<mysql::Hosts>(clock, options.write_hosts, options.user, mysql::Hosts::Rules{}),
              options.copy(), write_limits()) {}

SqlDatabase::~SqlDatabase() = default;

void SqlDatabase::domains(Instant deadline, Done<std::shared_ptr<const Domains>> done) {
  lookups_.ask<std::shared_ptr<const Domains>>(
      "domains", deadline,
      [schema = schema_](mysql::Connection& connection) {
        // Asked each time: an upgrade is noticed although the old texts go on working.
        return schema->domains(connection, schema->detect(connection));
      },
      std::move(done));
}

void SqlDatabase::addresses(std::vector<std::string> keys, Instant deadline, Done<AddressRows> done) {
  lookups_.ask<AddressRows>(
      "addresses", deadline,
      [schema = schema_, keys = std::move(keys)](mysql::Connection& connection) {
        return read_addresses(keys, schema->rows(connection, "addresses", spellings(keys)));
      },
      std::move(done));
}

void SqlDatabase::credentials(std::vector<std::string> keys, Instant deadline, Done<CredentialRows> done) {
  lookups_.ask<CredentialRows>(
      "credentials", deadline,
      [schema = schema_, keys = std::move(keys)](mysql::Connection& connection) {
        return read_credentials(keys, schema->rows(connection, "credentials", spellings(keys)));
      },
      std::move(done));
}

void SqlDatabase::changes(FeedQuestion question, Instant deadline, Done<FeedAnswer> done) {
  background_.ask<FeedAnswer>(
      "changes", deadline,
      [schema = schema_, question = std::move(question)](mysql::Connection& connection) {
        return schema->changes(connection, question);
      },
      std::move(done));
}

void SqlDatabase::everything(std::size_t max_bytes, Instant deadline, Done<Everything> done) {
  background_.ask<Everything>(
      "everything", deadline,
      [schema = schema_, max_bytes](mysql::Connection& connection) {
        const int version = schema->detect(connection);
        Everything everything;
        RowSet::Builder builder(max_bytes);
        {
          const mysql::ConsistentView view(connection);
          everything.domains = schema->domains(connection, version);
          AddressPart part;
          connection.stream(schema->preset.text("everything", version), [&](Cells cells) {
            if (read_part(cells, part)) builder.add(part.key, part.order, part.row);
          });
        }
        everything.rows = builder.finish();
        return everything;
      },
      std::move(done));
}

void SqlDatabase::prune(Instant deadline, Done<bool> done) {
  writes_.ask<bool>(
      "prune", deadline,
      [schema = schema_](mysql::Connection& connection) {
        const int version = schema->detect(connection);
        if (!schema->preset.has("prune", version)) return false;
        const auto prunable = [&] {
          const auto oldest = connection.query(schema->preset.text("prunable", version)).rows;
          return !oldest.empty() && is_on(oldest[0].at(0));
        };
        if (!prunable()) return false;
        connection.query(schema->preset.text("prune", version));
        return prunable();
      },
      std::move(done));
}

void SqlDatabase::describe(DatabaseStats& stats) const {
  const auto hosts = hosts_->status();
  stats.answers = hosts.answers;
  stats.since = hosts.since;
  stats.host = hosts.host;
  stats.last_failure = hosts.last_failure;
  for (const mysql::Pool* pool : {&lookups_, &background_, &writes_}) {
    const auto& counters = pool->counters();
    stats.asked += counters.asked;
    stats.failed += counters.failed;
    stats.orphaned += counters.orphaned;
    stats.refused += counters.refused;
    stats.waiting += pool->waiting();
  }
}

void SqlDatabase::stop() {
  prober_.stop();
  lookups_.stop();
  background_.stop();
  writes_.stop();
}

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
