#include "sql/vmailctl/reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <ctime>

#include "shared/base/text.h"

namespace vmail::sql {
namespace {

constexpr std::size_t kLongestFinding = 1000;

std::vector<Finding> findings_of(const App& app, const Daemon& daemon, const Reply& reply) {
  switch (reply.state) {
    case Reply::State::Answered:
      return judge(reply.value, {VMAILKIT_VERSION, app.settings.directory.feed_interval}, std::time(nullptr));
    case Reply::State::NotRunning:
      return {{Level::Critical, fmt::format("it does not run; see systemctl status {}", daemon.program)}};
    case Reply::State::Stuck:
      return {{Level::Critical, reply.error}};
    case Reply::State::Refused:
      return {{Level::Unknown, reply.error + "; are vmailctl and the daemon of one version?"}};
    case Reply::State::NotPermitted:
      break;
  }
  return {{Level::Unknown, reply.error}};
}

const char* state_text(const Report& report) {
  switch (report.reply.state) {
    case Reply::State::Answered:
      return level_name(report.level);
    case Reply::State::NotRunning:
      return "does not run";
    case Reply::State::Stuck:
      return "does not answer";
    case Reply::State::Refused:
      return "refuses";
    case Reply::State::NotPermitted:
      break;
  }
  return "not permitted";
}

// The same of several daemons is one finding.
struct Group {
  Finding finding;
  std::vector<std::string> programs;
};

std::vector<Group> group(const std::vector<Report>& reports) {
  std::vector<Group> groups;
  for (const auto& report : reports) {
    for (const auto& finding : report.findings) {
      const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& other) {
        return other.finding.level == finding.level && other.finding.text == finding.text;
      });
      if (same != groups.end()) {
        same->programs.push_back(report.daemon.program);
      } else {
        groups.push_back({finding, {report.daemon.program}});
      }
    }
  }
  std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
    return a.finding.level != b.finding.level && worse(a.finding.level, b.finding.level) == a.finding.level;
  });
  return groups;
}

// The word first, in capitals: the first line is what a monitoring system shows.
std::string line_of(Level level, const std::vector<std::string>& programs, const std::string& text) {
  std::string word = level == Level::Good ? "ok" : level_name(level);
  for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return fmt::format("{}: {}: {}", word, fmt::join(programs, ", "), printable(text, kLongestFinding));
}

}  // namespace

std::vector<Report> collect_reports(const App& app, const std::string& only) {
  std::vector<Report> reports;
  for (auto& daemon : daemons_of(app.settings, only)) {
    Report report{daemon, ask(daemon, {{"command", "status"}}), {}, Level::Good};
    report.findings = findings_of(app, daemon, report.reply);
    for (const auto& finding : report.findings) report.level = worse(report.level, finding.level);
    reports.push_back(std::move(report));
  }
  return reports;
}

Level level_of(const std::vector<Report>& reports) {
  Level level = Level::Good;
  for (const auto& report : reports) level = worse(level, report.level);
  return level;
}

void tell_reports(const App& app, const std::vector<Report>& reports, const std::vector<Line>& lines) {
  const auto groups = group(reports);
  const Level level = level_of(reports);
  if (app.output.json()) {
    Json findings = Json::array();
    for (const auto& one : groups) {
      findings.push_back(
          {{"level", level_name(one.finding.level)}, {"programs", one.programs}, {"text", one.finding.text}});
    }
    Json daemons = Json::array();
    for (const auto& report : reports) {
      Json daemon = {{"section", report.daemon.section},
                     {"program", report.daemon.program},
                     {"level", level_name(report.level)},
                     {"answers", report.reply.state == Reply::State::Answered}};
      if (report.reply.state == Reply::State::Answered) {
        daemon["status"] = Json(report.reply.value);
      } else {
        daemon["error"] = report.reply.error;
      }
      daemons.push_back(std::move(daemon));
    }
    return app.output.object({{"level", level_name(level)},
                              {"version", VMAILKIT_VERSION},
                              {"findings", std::move(findings)},
                              {"daemons", std::move(daemons)}});
  }

  for (const auto& one : groups) app.output.text(line_of(one.finding.level, one.programs, one.finding.text));
  if (groups.empty()) {
    std::vector<std::string> programs;
    for (const auto& report : reports) programs.push_back(report.daemon.program);
    app.output.text(line_of(Level::Good, programs, "all is well"));
  }
  app.output.text("");
  std::vector<Column> columns = {{"what", ""}};
  for (const auto& report : reports) columns.push_back({report.daemon.section, report.daemon.program});
  Json rows = Json::array();
  Json states = {{"what", "State"}};
  for (const auto& report : reports) states[report.daemon.section] = state_text(report);
  rows.push_back(std::move(states));
  for (const auto& line : lines) {
    Json row = {{"what", line.title}};
    for (const auto& report : reports) {
      const bool answered = report.reply.state == Reply::State::Answered;
      row[report.daemon.section] = answered ? line.cell(report.reply.value) : "";
    }
    rows.push_back(std::move(row));
  }
  app.output.table(columns, rows);
}

}  // namespace vmail::sql
