// The rows of virtual_rules that vmailctl shows and changes. The table is small: it is read a kind at a time, and names
// are compared as the daemons compare them (shared/directory/rules.h). Throws mysql::Error.
#pragma once

#include <string>
#include <vector>

#include "shared/directory/rules.h"
#include "shared/mysql/connection.h"

namespace vmail::sql {

using directory::RuleKind;

struct Rule {
  std::string id;
  RuleKind kind = RuleKind::Transport;
  std::string name;   // as its row has it
  std::string value;  // the same
  bool enabled = true;

  // As the daemons know it; the name itself when it is none that they could be asked for.
  std::string key() const;
};

class RuleTable {
 public:
  // The connection must outlive it. Looks whether there is such a table.
  explicit RuleTable(mysql::Connection& connection);

  // False: the schema is older, and there are no rules.
  bool exists() const { return exists_; }
  // Refusal that says to run `vmailctl schema upgrade`, when there is none.
  void require() const;

  std::vector<Rule> all(RuleKind kind);
  // `key`: as Rule::key().
  std::vector<Rule> named(RuleKind kind, const std::string& key);
  // Of any kind, named by this address, or with "@d" by any in that domain and the domain itself.
  std::vector<Rule> about(const std::string& key);
  // Of any kind, whose value is this address, or with "@d" any in that domain: mail or rights that would lead nowhere.
  std::vector<Rule> leading_to(const std::string& key);

  void add(RuleKind kind, const std::string& name, const std::string& value);
  void enable(const std::vector<Rule>& rules, bool enable);
  void remove(const std::vector<Rule>& rules);

 private:
  std::vector<Rule> read(const std::string& condition, const std::vector<mysql::Value>& parameters);
  void for_each(const std::vector<Rule>& rules, const std::string& sql);

  mysql::Connection& connection_;
  bool exists_ = false;
};

}  // namespace vmail::sql
