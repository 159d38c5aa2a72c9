#include "sql/vmailctl/upgrade_file.h"

#include <fmt/format.h>

#include "shared/base/text.h"

namespace vmail::sql {
namespace {

// One line of an upgrade file, told apart by its first characters.
struct Line {
  enum class Kind { Blank, Comment, Directive, More, Sql } kind;
  std::string_view name;  // of a directive
  std::string_view text;
};

Line classify(std::string_view line) {
  if (trim(line).empty()) return {Line::Kind::Blank, {}, {}};
  if (line.substr(0, 2) != "--") return {Line::Kind::Sql, {}, line};
  if (line.substr(0, 5) == "--   ") return {Line::Kind::More, {}, trim(line.substr(2))};
  const std::string_view rest = line.substr(0, 3) == "-- " ? line.substr(3) : std::string_view();
  const auto colon = rest.find(": ");
  const auto end_of_name = rest.find_first_not_of("abcdefghijklmnopqrstuvwxyz-");
  if (colon != std::string_view::npos && colon == end_of_name) {
    return {Line::Kind::Directive, rest.substr(0, colon), trim(rest.substr(colon + 2))};
  }
  return {Line::Kind::Comment, {}, rest};
}

class Parser {
 public:
  Parser(std::string_view file_name, std::string_view text) : file_name_(file_name), text_(text) {}

  UpgradeFile parse() {
    read_name();
    for (const auto& line : split(text_, '\n')) {
      ++line_number_;
      take(classify(line));
    }
    finish_step();
    if (file_.what.empty()) fail("there is no '-- upgrade:' line");
    if (file_.old_daemons.empty()) fail("there is no '-- old-daemons:' line");
    if (file_.steps.empty()) fail("there is no '-- step:'");
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UpgradeFileError(fmt::format("{}:{}: {}", file_name_, line_number_, what));
  }

  void read_name() {
    const auto number = parse_number(file_name_.substr(0, std::min<std::size_t>(4, file_name_.size())));
    const bool good = number && *number > 0 && file_name_.size() > 9 && file_name_[4] == '-' &&
                      file_name_.substr(file_name_.size() - 4) == ".sql";
    if (!good) fail("the name is not NNNN-what.sql");
    file_.version = static_cast<int>(*number);
    file_.name = file_name_.substr(5, file_name_.size() - 9);
  }

  void take(const Line& line) {
    switch (line.kind) {
      case Line::Kind::Blank:
        continued_ = nullptr;
        return;
      case Line::Kind::Comment:
        if (action_ != nullptr) fail("a comment inside a step that is no directive");
        continued_ = nullptr;
        return;
      case Line::Kind::More:
        if (continued_ == nullptr) fail("this line continues no directive");
        *continued_ += ' ';
        *continued_ += line.text;
        return;
      case Line::Kind::Directive:
        directive(line.name, std::string(line.text));
        return;
      case Line::Kind::Sql:
        statement(line.text);
        return;
    }
  }

  void set(std::string& target, std::string_view name, std::string text) {
    if (!target.empty()) fail(fmt::format("'-- {}:' stands here twice", name));
    target = std::move(text);
    continued_ = &target;
  }

  void directive(std::string_view name, std::string text) {
    if (name == "step") {
      finish_step();
      file_.steps.emplace_back();
      action_ = &file_.steps.back().action;
      set(action_->what, name, std::move(text));
    } else if (action_ == nullptr) {
      if (name == "upgrade") return set(file_.what, name, std::move(text));
      if (name == "old-daemons") return set(file_.old_daemons, name, std::move(text));
      fail(fmt::format("'-- {}:' is not known before the first step", name));
    } else if (name == "while-blocked") {
      finish_action();
      Step& step = file_.steps.back();
      if (step.blocked_by.empty() || step.stand_in) fail("'-- while-blocked:' needs one '-- blocked-by:' before it");
      action_ = &step.stand_in.emplace();
      ended_ = false;
      set(action_->what, name, std::move(text));
    } else if (!action_->statement.empty()) {
      fail(fmt::format("'-- {}:' stands behind its statement", name));
    } else if (name == "unless") {
      set(action_->unless, name, std::move(text));
    } else if (name == "blocked-by") {
      if (file_.steps.back().stand_in) fail("'-- blocked-by:' stands in a '-- while-blocked:'");
      set(file_.steps.back().blocked_by, name, std::move(text));
    } else if (name == "needed") {
      if (file_.steps.back().blocked_by.empty()) fail("'-- needed:' needs a '-- blocked-by:' before it");
      set(file_.steps.back().needed, name, std::move(text));
    } else {
      fail(fmt::format("'-- {}:' is not known in a step", name));
    }
  }

  void statement(std::string_view line) {
    continued_ = nullptr;
    if (action_ == nullptr) fail("a statement outside any step");
    if (ended_) fail("a second statement in one step");
    std::string& sql = action_->statement;
    if (!sql.empty()) sql += '\n';
    sql += line;
    if (trim(sql).back() == ';') {
      sql = trim(sql).substr(0, trim(sql).size() - 1);
      ended_ = true;
    }
  }

  void finish_action() const {
    if (action_->unless.empty()) fail(fmt::format("step '{}' has no '-- unless:'", action_->what));
    if (!ended_) fail(fmt::format("step '{}' has no statement that ends in ';'", action_->what));
  }

  void finish_step() {
    if (action_ == nullptr) return;
    finish_action();
    action_ = nullptr;
    continued_ = nullptr;
    ended_ = false;
  }

  const std::string_view file_name_;
  const std::string_view text_;
  int line_number_ = 0;
  UpgradeFile file_;
  Action* action_ = nullptr;          // inside file_: of the step or stand-in that is being read
  std::string* continued_ = nullptr;  // inside file_: what a line with three blanks goes on with
  bool ended_ = false;                // the statement of action_ is whole
};

}  // namespace

UpgradeFile parse_upgrade(std::string_view file_name, std::string_view text) {
  return Parser(file_name, text).parse();
}

std::vector<std::string> split_statements(std::string_view text) {
  std::vector<std::string> statements;
  std::string current;
  for (const auto& line : split(text, '\n')) {
    const std::string_view part = trim(line);
    if (part.empty() || part.substr(0, 2) == "--") continue;
    if (!current.empty()) current += '\n';
    current += part;
    if (part.back() == ';') {
      current.pop_back();
      statements.push_back(std::move(current));
      current.clear();
    }
  }
  if (!current.empty()) statements.push_back(std::move(current));
  return statements;
}

}  // namespace vmail::sql
