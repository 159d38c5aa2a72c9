#include "sql/vmailctl/states.h"

#include <algorithm>

namespace vmail::sql {
namespace {

constexpr const char* kNoLogin = "no-login";

std::vector<std::string> enabled_values(const std::vector<Rule>& rules) {
  std::vector<std::string> values;
  for (const auto& rule : rules) {
    if (rule.enabled) values.push_back(rule.value);
  }
  return values;
}

}  // namespace

std::vector<std::string> states_of(RuleTable& rules, const std::string& key) {
  auto states = enabled_values(rules.named(RuleKind::State, key));
  if (states.empty() && key.front() != '@') {
    states = enabled_values(rules.named(RuleKind::State, key.substr(key.rfind('@'))));
  }
  std::erase(states, "on");
  return states;
}

void write_states(RuleTable& rules, const std::string& key, const std::vector<std::string>& states) {
  rules.remove(rules.named(RuleKind::State, key));
  for (const auto& state : states) rules.add(RuleKind::State, key, state);
}

bool forbid_login(RuleTable& rules, const std::string& address) {
  auto states = states_of(rules, address);
  if (std::find(states.begin(), states.end(), kNoLogin) != states.end()) return false;
  states.emplace_back(kNoLogin);
  write_states(rules, address, states);
  return true;
}

bool allow_login(RuleTable& rules, const std::string& address) {
  auto own = enabled_values(rules.named(RuleKind::State, address));
  if (std::erase(own, kNoLogin) == 0) return false;
  write_states(rules, address, own);
  return true;
}

}  // namespace vmail::sql
