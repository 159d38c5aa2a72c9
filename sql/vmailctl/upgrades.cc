#include "sql/vmailctl/upgrades.h"

#include <fmt/format.h>

#include <utility>

#include "shared/base/text.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/sql_texts.h"

namespace vmail::sql {
SchemaLock::SchemaLock(mysql::Connection& connection) : connection_(connection) {
  // It goes with the connection if we end early.
  const auto got = connection_.run("SELECT GET_LOCK('vmailkit_schema', 5)");
  if (got.rows.at(0).at(0) != "1") {
    throw Refusal("another `vmailctl schema` is at work on this server", "Wait for its end, then run this again.");
  }
}

SchemaLock::~SchemaLock() {
  try {
    connection_.run("DO RELEASE_LOCK('vmailkit_schema')");
  } catch (const mysql::Error&) {
    // The connection is gone, and the lock with it.
  }
}

Upgrades::Upgrades(mysql::Connection& connection) : connection_(connection) {
  for (const auto& text : upgrade_texts()) files_.push_back(parse_upgrade(text.name, text.text));
}

Upgrades::Tables Upgrades::tables() {
  const auto found = connection_.run(
      "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"
      " AND table_name IN ('virtual_domains', 'virtual_users', 'virtual_aliases')");
  const auto& count = found.rows.at(0).at(0);
  return count == "3" ? Tables::All : count == "0" ? Tables::None : Tables::Some;
}

bool Upgrades::has_version_table() {
  return has_rows(
      "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'vmailkit_schema'");
}

int Upgrades::version() {
  if (!has_version_table()) return 0;
  const auto found = connection_.run("SELECT COALESCE(MAX(version), 0) FROM vmailkit_schema");
  return static_cast<int>(parse_number(found.rows.at(0).at(0).value_or("0")).value_or(0));
}

int Upgrades::newest_version() {
  const auto texts = upgrade_texts();
  return parse_upgrade(texts.back().name, texts.back().text).version;
}

bool Upgrades::has_rows(const std::string& query) {
  return !connection_.run(query).rows.empty();
}

StepReport Upgrades::look_at(const UpgradeFile& file, const Step& step) {
  StepReport report;
  report.version = file.version;
  report.what = step.action.what;
  if (has_rows(step.action.unless)) return report;
  report.state = StepState::Pending;
  report.statement = step.action.statement;
  if (step.blocked_by.empty()) return report;
  for (const auto& row : connection_.run(step.blocked_by).rows) {
    report.obstacles.push_back({row.at(0).value_or(""), row.at(1).value_or("")});
  }
  if (report.obstacles.empty()) return report;
  report.state = StepState::Blocked;
  report.statement.clear();
  if (step.stand_in) {
    report.stand_in = step.stand_in->what;
    if (!has_rows(step.stand_in->unless)) report.statement = step.stand_in->statement;
  }
  return report;
}

StepReport Upgrades::look_at_note(const UpgradeFile& file) {
  StepReport report;
  report.version = file.version;
  report.what = fmt::format("version {} noted in vmailkit_schema", file.version);
  if (version() >= file.version) return report;
  report.state = StepState::Pending;
  // The name comes from a file of ours: letters and dashes.
  report.statement =
      fmt::format("INSERT INTO vmailkit_schema (version, name) VALUES ({}, '{}')", file.version, file.name);
  return report;
}

std::vector<StepReport> Upgrades::each(const std::function<void(const StepReport&)>& act) {
  std::vector<StepReport> reports;
  const auto take = [&](StepReport report) {
    act(report);
    reports.push_back(std::move(report));
  };
  for (const auto& file : files_) {
    bool held = false;
    for (const auto& step : file.steps) {
      take(look_at(file, step));
      held = held || (reports.back().state == StepState::Blocked && !step.needed.empty());
    }
    // Daemons go by the version: what it promises must be there.
    if (!held) take(look_at_note(file));
  }
  return reports;
}

std::vector<StepReport> Upgrades::look() {
  return each([](const StepReport&) {});
}

std::vector<StepReport> Upgrades::run(const std::function<void(const StepReport&)>& tell) {
  // Strict: a value that does not fit is an error, never cut. And a table that somebody holds is given up for now, or
  // the statement that waits would make all readers wait behind it.
  connection_.run("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', SESSION lock_wait_timeout = 30");
  each([&](const StepReport& report) {
    if (report.statement.empty()) return;
    tell(report);
    connection_.run(report.statement);
  });
  return look();
}

}  // namespace vmail::sql
