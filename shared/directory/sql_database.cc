#include "shared/directory/sql_database.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "shared/mysql/secret_query.h"
#include "shared/mysql/transaction.h"

namespace vmail::directory {
namespace {

constexpr int kUnknownVersion = -1;
constexpr std::size_t kFewKeys = 16;  // more than one address can have
// Of the texts `changes` and `late-changes`.
constexpr std::size_t kNotesLimit = 5000;
// Of the text `mailboxes`.
constexpr std::size_t kPageLimit = 200;

// Of what is asked in the background one thread may be at work for long, with everything; the others are for the polls.
// Nobody waits for either, and look-ups do wait for the loop.
mysql::Pool::Limits background_limits(mysql::Pool::Limits limits) {
  limits.threads = 2;
  limits.queue = 10;
  limits.behind = true;
  return limits;
}

// Rests as often as it works. The server writes no further ahead than its socket takes, so that half of the time the
// processor of this long answer is free for those who wait for a single row.
class Rests {
 public:
  void row() {
    if (++rows_ % kRows != 0) return;
    const Instant now = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::min<Duration>(now - since_, kLongest));
    since_ = std::chrono::steady_clock::now();
  }

 private:
  static constexpr std::size_t kRows = 500;  // a millisecond, or less
  static constexpr Duration kLongest = std::chrono::milliseconds(50);
  std::size_t rows_ = 0;
  Instant since_ = std::chrono::steady_clock::now();
};

mysql::Pool::Limits write_limits() {
  mysql::Pool::Limits limits;
  limits.threads = 1;
  limits.queue = 100;
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

}  // namespace

// Workers' side: which texts are to be asked, found out from the database itself.
struct SqlDatabase::Schema {
  Schema(Preset its_preset, bool its_rules) : preset(std::move(its_preset)), with_rules(its_rules) {}

  const Preset preset;
  const bool with_rules;
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

  // Of a text that older schemas do not have.
  const std::string& later_text(mysql::Connection& connection, const char* name) {
    int at_version = version;
    if (at_version == kUnknownVersion || !preset.has(name, at_version)) at_version = detect(connection);
    if (preset.has(name, at_version)) return preset.text(name, at_version);
    throw std::runtime_error("version " + std::to_string(at_version) +
                             " of the schema has no place for it; `vmailctl schema upgrade` makes one");
  }

  bool change(mysql::Connection& connection, const LoginChange& change) {
    const std::string_view value = change.value.view(), before = change.hash.view();
    const bool of_hash = change.what == LoginChange::What::Hash;
    const std::string& sql = later_text(connection, of_hash ? "replace-hash" : "keep-scram");
    const auto done = of_hash
                          ? mysql::query_with_secrets(connection, sql, {value, before, value, before}, {change.address})
                          : mysql::query_with_secrets(connection, sql, {value, before}, {change.address});
    return done.affected > 0;
  }

  std::shared_ptr<const Domains> domains(mysql::Connection& connection, int at_version) {
    auto domains = read_domains(connection.query(preset.text("domains", at_version)).rows, at_version);
    if (with_rules && preset.has("rules", at_version)) domains->rules = rules(connection, at_version);
    return domains;
  }

  // Domains and addresses are to be had although the rights to the rules were not given yet.
  std::shared_ptr<const Rules> rules(mysql::Connection& connection, int at_version) {
    try {
      return read_rules(connection.query(preset.text("rules", at_version)).rows);
    } catch (const mysql::Error& error) {
      if (error.kind() != mysql::ErrorKind::Schema && error.kind() != mysql::ErrorKind::Denied) throw;
      auto none = std::make_shared<Rules>();
      none->fault = std::string("the rules cannot be read: ") + error.what() + "; `vmailctl schema status` tells more";
      return none;
    }
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
                         mysql::Pool::Limits limits, Preset preset, bool rules)
    : schema_(std::make_shared<Schema>(std::move(preset), rules)),
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

void SqlDatabase::mailboxes(std::uint64_t after, Instant deadline, Done<MailboxPage> done) {
  lookups_.ask<MailboxPage>(
      "mailboxes", deadline,
      [schema = schema_, after](mysql::Connection& connection) {
        const auto rows =
            connection.query(schema->preset.text("mailboxes", 0), std::vector<mysql::Value>{std::to_string(after)})
                .rows;
        MailboxPage page = read_mailboxes(rows);
        page.more = rows.size() >= kPageLimit && page.last > after;
        return page;
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
          Rests rests;
          connection.stream(schema->preset.text("everything", version), [&](Cells cells) {
            rests.row();
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

void SqlDatabase::note_uses(std::vector<AppPasswordUse> uses, Instant deadline, Done<bool> done) {
  writes_.ask<bool>(
      "app-password-use", deadline,
      [schema = schema_, uses = std::move(uses)](mysql::Connection& connection) {
        const std::string& sql = schema->later_text(connection, "note-use");
        mysql::Transaction transaction(connection);
        for (const auto& use : uses) {
          const std::string at = std::to_string(use.at);
          connection.query(sql, std::vector<mysql::Value>{at, use.ip, std::to_string(use.app_password), at});
        }
        transaction.commit();
        return true;
      },
      std::move(done));
}

void SqlDatabase::change_login(LoginChange change, Instant deadline, Done<bool> done) {
  writes_.ask<bool>(
      change.what == LoginChange::What::Hash ? "replace-hash" : "keep-scram", deadline,
      [schema = schema_, change = std::move(change), tried = false](mysql::Connection& connection) mutable {
        // Between two tries somebody may have set the hash that this one would replace.
        if (std::exchange(tried, true)) throw std::runtime_error("the connection broke; it is not tried again");
        return schema->change(connection, change);
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

}  // namespace vmail::directory
