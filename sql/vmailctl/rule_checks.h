// What a new rule may say: its name and value in the form that is stored, or a Refusal that says what is wrong with
// them. No rule is made that loops, leads nowhere or would open a relay.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/rules.h"

namespace vmail::sql {

struct NewRule {
  RuleKind kind = RuleKind::Transport;
  std::string name;
  std::string value;
  std::string note;  // for the administrator to know; may be empty
};

// `there`: the rules of that kind.
NewRule check_rule(const App& app, Catalog& catalog, const std::vector<Rule>& there, RuleKind kind,
                   const std::string& name, const std::string& value);

// Whether a name may have several values of that kind.
bool takes_several(RuleKind kind);

// What the store and the logins go by, and what goes with a mailbox.
bool is_about_mailboxes(RuleKind kind);

// The parts, pure. Why it cannot be one, in words; empty when it is good.
std::string why_not_a_transport(std::string_view text);  // transport(5): "transport:nexthop"
std::string why_not_a_next_hop(std::string_view text);   // "[relay.example]:587"
std::string why_not_a_size(std::string_view text);       // "500M"
std::string why_not_a_quota(std::string_view text);      // "5G 10000 messages"
// `open`: the recipients are ours, so that letting mail through opens no relay. The address that it leads to, if any,
// is put into `address`.
std::string why_not_an_action(std::string_view text, bool ours, std::string& address);  // access(5)

}  // namespace vmail::sql
