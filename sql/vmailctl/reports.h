// What the daemons of this host say of themselves, judged: for `status` and `cache stats`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sql/vmailctl/app.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/health.h"

namespace vmail::sql {

struct Report {
  Daemon daemon;
  Reply reply;
  std::vector<Finding> findings;  // the worst first
  Level level = Level::Good;
};

// Asks each daemon, or the one of the section `only`.
std::vector<Report> collect_reports(const App& app, const std::string& only);
Level level_of(const std::vector<Report>& reports);

// One line of the table: what it is called, and its cell for a daemon that has answered.
struct Line {
  std::string title;
  std::function<std::string(const nlohmann::json& status)> cell;
};

// For people the findings, the worst of them on the first line, then a table with a column for each daemon; for
// programs one object with all of it.
void tell_reports(const App& app, const std::vector<Report>& reports, const std::vector<Line>& lines);

}  // namespace vmail::sql
