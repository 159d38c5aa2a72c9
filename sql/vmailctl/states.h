// The states of mailboxes: rules of kind `state`, beside the column `enable` of a user. Throws mysql::Error.
#pragma once

#include <string>
#include <vector>

#include "sql/vmailctl/rules.h"

namespace vmail::sql {

// What holds for a mailbox, or with "@d" for those of a domain that have none of their own: no-login, no-mail, hold, or
// nothing. Of disabled rules nothing.
std::vector<std::string> states_of(RuleTable& rules, const std::string& key);
// Says that of the name, and nothing else. Without any: the state of its domain.
void write_states(RuleTable& rules, const std::string& key, const std::vector<std::string>& states);

// Without login, whatever else holds; and with it again. False: that leaves it as it was.
bool forbid_login(RuleTable& rules, const std::string& address);
bool allow_login(RuleTable& rules, const std::string& address);

}  // namespace vmail::sql
