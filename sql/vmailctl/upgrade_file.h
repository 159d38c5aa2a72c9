// The format of sql/upgrades/NNNN-what.sql (its README describes it), read into values. Pure: no database.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vmail::sql {

struct Action {
  std::string what;    // for people
  std::string unless;  // a query: done already when it returns a row
  std::string statement;
};

struct Step {
  Action action;
  std::string blocked_by;          // a query for rows (problem, mending statement) that stand in the way, or empty
  std::string needed;              // why the version is not noted while they do, or empty
  std::optional<Action> stand_in;  // what is done while they do
};

struct UpgradeFile {
  int version = 0;
  std::string name;         // "indexes"
  std::string what;         // for people
  std::string old_daemons;  // what happens to them
  std::vector<Step> steps;
};

class UpgradeFileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws UpgradeFileError "FILE:LINE: what is wrong".
UpgradeFile parse_upgrade(std::string_view file_name, std::string_view text);

// The statements of a plain SQL file whose statements end in ";" at the end of a line: without comments.
std::vector<std::string> split_statements(std::string_view text);

}  // namespace vmail::sql
