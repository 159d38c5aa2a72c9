// What the administrator sees: a table or a few lines, or with --json one JSON value on standard output. Remarks go to
// standard error, so that neither is disturbed.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vmail::sql {

// Keys stay in the order in which they are written.
using Json = nlohmann::ordered_json;

struct Column {
  std::string key;    // in the JSON object
  std::string title;  // over the column
};

class Output {
 public:
  // The streams must outlive it.
  Output(bool json, std::ostream& out, std::ostream& err) : json_(json), out_(out), err_(err) {}

  bool json() const { return json_; }
  // `rows`: an array of objects.
  void table(const std::vector<Column>& columns, const Json& rows);
  // One object, a line for each column.
  void record(const std::vector<Column>& columns, const Json& object);
  // What was done: the sentence for people, the object for programs.
  void done(const std::string& sentence, const Json& object);
  void text(const std::string& text);  // for people only
  void object(const Json& object);     // for programs only
  void note(const std::string& text);
  // JSON {"error": ..., "hint": ...} on standard output, or two lines on standard error.
  void error(const std::string& what, const std::string& hint);

 private:
  const bool json_;
  std::ostream& out_;
  std::ostream& err_;
};

}  // namespace vmail::sql
