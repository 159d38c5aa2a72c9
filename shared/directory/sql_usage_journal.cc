#include "shared/directory/sql_usage_journal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "shared/base/seeded_hash.h"
#include "shared/base/text.h"
#include "shared/mysql/transaction.h"

namespace vmail::directory {
namespace {

constexpr int kNewest = 9999;  // of the texts: on an older schema their tables are missing, and the error says so
constexpr std::int64_t kPruneEvery = 600;       // seconds
constexpr std::int64_t kKeepHeld = 90 * 86400;  // and what is then still held is forgotten

mysql::Value number(std::int64_t value) {
  return std::to_string(value);
}

std::int64_t signed_number(const mysql::Value& text) {
  std::string_view digits = text ? std::string_view(*text) : std::string_view();
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  const auto value = static_cast<std::int64_t>(parse_number(digits).value_or(0));
  return negative ? -value : value;
}

std::int64_t unix_time(const Clock& clock) {
  return std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch()).count();
}

}  // namespace

std::string host_name() {
  char name[65] = "";
  ::gethostname(name, sizeof name - 1);
  const std::string text = name;
  return text.empty() ? "localhost" : text;
}

// The worker's side.
struct SqlUsageJournal::Work {
  explicit Work(Preset its_preset) : preset(std::move(its_preset)) {}

  const Preset preset;
  // Of this process, so that one which begins anew with nothing does not take the totals of the one before for its own.
  const std::string writer = fmt::format("{} {:016x}", host_name(), random_hash_key().k0);
  std::int64_t pruned_at = 0;  // the only worker's

  const std::string& text(const char* name) const { return preset.text(name, kNewest); }

  UsageAnswer exchange(mysql::Connection& connection, const UsageQuestion& question) const {
    const bool any = std::any_of(question.counters.begin(), question.counters.end(),
                                 [](const auto& counter) { return !counter.totals.empty(); });
    if (any) {
      mysql::Transaction transaction(connection);
      for (const auto& [counter, totals, from] : question.counters) {
        for (const auto& [slot, amount] : totals) {
          const mysql::Value row[] = {counter.subject, counter.measure, number(counter.window),    number(slot),
                                      writer,          number(amount),  number(counter.ends(slot))};
          connection.query(text("usage-write"), row);
        }
      }
      transaction.commit();
    }
    UsageAnswer answer;
    for (const auto& [counter, totals, from] : question.counters) {
      const mysql::Value key[] = {counter.subject, counter.measure, number(counter.window), number(from), writer};
      auto& sums = answer.emplace_back();
      for (const auto& row : connection.query(text("usage-read"), key).rows) {
        sums.emplace_back(signed_number(row.at(0)), signed_number(row.at(1)));
      }
    }
    return answer;
  }

  // Little enough to be done on the way.
  void prune(mysql::Connection& connection, std::int64_t now) {
    if (now - pruned_at < kPruneEvery) return;
    pruned_at = now;
    const mysql::Value over[] = {number(now)};
    connection.query(text("usage-prune"), over);
    const mysql::Value old[] = {number(now - kKeepHeld)};
    connection.query(text("held-prune"), old);
  }
};

SqlUsageJournal::SqlUsageJournal(Loop& loop, const Clock& clock, const config::Settings& settings, Options options)
    : clock_(clock), work_(std::make_shared<Work>(Preset::built_in(settings.directory.preset))) {
  auto login = mysql::options_from(settings, std::move(options.database_user), std::move(options.database_password));
  mysql::Pool::Limits limits;
  limits.threads = 1;  // what is written of one counter comes in order
  limits.writes = true;
  auto hosts = std::make_shared<mysql::Hosts>(clock, login.write_hosts, login.user, mysql::Hosts::Rules{});
  pool_ = std::make_unique<mysql::Pool>(loop, clock, std::move(hosts), std::move(login), limits);
}

SqlUsageJournal::~SqlUsageJournal() = default;

void SqlUsageJournal::exchange(UsageQuestion question, Instant deadline, Done<UsageAnswer> done) {
  pool_->ask<UsageAnswer>(
      "usage", deadline,
      [work = work_, question = std::move(question), now = unix_time(clock_)](mysql::Connection& connection) {
        auto answer = work->exchange(connection, question);
        work->prune(connection, now);
        return answer;
      },
      std::move(done));
}

void SqlUsageJournal::hold(std::vector<HeldMessage> messages, Instant deadline, Done<bool> done) {
  pool_->ask<bool>(
      "held", deadline,
      [work = work_, messages = std::move(messages), now = unix_time(clock_)](mysql::Connection& connection) {
        for (const auto& message : messages) {
          const mysql::Value row[] = {message.host, message.queue_id, message.login, number(now)};
          connection.query(work->text("held-write"), row);
        }
        return true;
      },
      std::move(done));
}

void SqlUsageJournal::stop() {
  pool_->stop();
}

}  // namespace vmail::directory
