// The objects of vmailctl that manage rules, each of one kind or of two.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "shared/directory/rules.h"

namespace vmail::sql {

struct RuleObject {
  const char* name;
  const char* help;
  std::map<std::string, directory::RuleKind> kinds;  // by the word behind the verb that tells them apart; "": one kind
  const char* name_help;
  const char* value_name;  // "": there is one value only, `fixed`
  const char* value_help;
  const char* fixed = "";
};

const std::vector<RuleObject>& rule_objects();
// The object that manages them, for hints.
std::string object_of(directory::RuleKind kind);
// "vmailctl bcc remove sender anna@example.org", to be pasted into a shell.
std::string command_line(directory::RuleKind kind, const char* verb, const std::string& name,
                         const std::string& value = {});

}  // namespace vmail::sql
