// The state of a database against the upgrade files, and how it gets from one to the other. Blocking.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shared/mysql/connection.h"
#include "sql/vmailctl/upgrade_file.h"

namespace vmail::sql {

struct Obstacle {
  std::string problem;
  std::string mend;  // a statement
};

enum class StepState { Done, Pending, Blocked };

struct StepReport {
  int version = 0;
  StepState state = StepState::Done;
  std::string what;
  std::vector<Obstacle> obstacles;      // when Blocked
  std::string statement;                // what is to be run next: of the step or its stand-in; empty: nothing
  std::optional<std::string> stand_in;  // what serves meanwhile, when Blocked
};

// Held by whoever changes the schema, so that two of them do not meet. Throws Refusal when somebody else has it.
class SchemaLock {
 public:
  explicit SchemaLock(mysql::Connection& connection);  // which must outlive it
  ~SchemaLock();
  SchemaLock(const SchemaLock&) = delete;
  SchemaLock& operator=(const SchemaLock&) = delete;

 private:
  mysql::Connection& connection_;
};

class Upgrades {
 public:
  // The connection must outlive it and have the database selected.
  explicit Upgrades(mysql::Connection& connection);

  // Whether the original tables are there; upgrades need all three.
  enum class Tables { None, Some, All };
  Tables tables();
  bool has_version_table();
  int version();                // 0: the original schema
  static int newest_version();  // what this program knows

  // Each step as the database is now.
  std::vector<StepReport> look();
  // Runs what is pending, in order, and tells of each step before it runs. Returns what look() says afterwards.
  // Throws mysql::Error when the server refuses a statement: the next run goes on there. The caller holds a SchemaLock.
  // Waits at most half a minute for somebody who holds a table.
  std::vector<StepReport> run(const std::function<void(const StepReport&)>& tell);

  const std::vector<UpgradeFile>& files() const { return files_; }

 private:
  bool has_rows(const std::string& query);
  StepReport look_at(const UpgradeFile& file, const Step& step);
  StepReport look_at_note(const UpgradeFile& file);  // its row in vmailkit_schema
  std::vector<StepReport> each(const std::function<void(const StepReport&)>& act);

  mysql::Connection& connection_;
  std::vector<UpgradeFile> files_;
};

}  // namespace vmail::sql
