// What the table virtual_rules says: transports, grants to send, bcc, relays, canonical addresses, access, and what the
// policy server and the store go by. Each rule is a kind, a name (an address or a domain) and a value. All of them are
// in memory, with the sets of domains.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shared/base/address_list.h"
#include "shared/base/seeded_hash.h"

namespace vmail::directory {

struct Ladder;

enum class RuleKind : unsigned char {
  Transport,
  SendAs,
  SenderBcc,
  RecipientBcc,
  SenderRelay,
  SenderCanonical,
  RecipientCanonical,
  RecipientAccess,
  Protect,
  ExternalIn,
  ExternalOut,
  Limit,
  Quota,
  State,
  Spam,
  Sieve,
  Archive,
  MessageSize,
};
inline constexpr std::size_t kRuleKinds = 18;  // the snapshot knows them by their numbers: new ones go to the end

// As in the column `kind`.
const char* word(RuleKind kind);
// Why a question about a rule fails that has a value which cannot be used, in words.
std::string spoilt_rule(RuleKind kind);
std::optional<RuleKind> rule_kind(std::string_view word);

// The kinds whose names are those of Postfix's transport(5) and access(5): "u@d", "d", ".d" and "*", where ".d" means
// what is below d. The others have "u@d" and "@d"; a sender-relay also "<>".
bool is_by_domain(RuleKind kind);

// A name as key: folded, its domain as A-label; that of external-in and external-out, which is a domain, as "@d". Empty
// when nobody could ask for it.
std::string rule_key(RuleKind kind, std::string_view name);

// Built on any thread, immutable from then on.
class Rules {
 public:
  // In the order in which values are to come; names may be in any spelling. A value that cannot be used (it is empty,
  // or has control characters, or is not UTF-8) spoils the rule of that name; a name that nobody could ask for is left
  // out.
  void add(RuleKind kind, std::string_view name, std::string_view value);

  // All values of the name, which is a key; nullptr: there is no rule. An empty list: one of the values cannot be used.
  // Valid while this lives.
  const AddressList* find(RuleKind kind, std::string_view name) const;
  // The other way round: the names of the rules with that value, which is a key; another value of theirs does not spoil
  // it. Kept for SendAs alone.
  const AddressList* names(RuleKind kind, std::string_view value) const;

  // visit(kind, name, value), the values of one name in their order; an empty value for one that cannot be used.
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t i = 0; i < kRuleKinds; ++i) {
      const auto kind = static_cast<RuleKind>(i);
      for (const auto& [name, values] : by_name_[i]) {
        if (values.empty()) visit(kind, std::string_view(name), std::string_view());
        for (const auto value : values) visit(kind, std::string_view(name), value);
      }
    }
  }
  bool has(RuleKind kind) const { return !by_name_[static_cast<std::size_t>(kind)].empty(); }
  // How many visits that makes.
  std::size_t size() const { return size_; }

  // Why they could not be read, in words; then there are none. Empty: they were.
  std::string fault;
  // What was left out, in words: the first of it.
  std::string left_out;

 private:
  using Table = std::unordered_map<std::string, AddressList, SeededHash, std::equal_to<>>;

  std::array<Table, kRuleKinds> by_name_;
  Table senders_;  // of SendAs: names by value
  std::size_t size_ = 0;
};

// What the rules of kind `state` say of a mailbox.
struct MailboxState {
  bool no_login = false;
  bool no_mail = false;
  bool hold = false;
  std::string_view fault;  // a value that is none; then nothing else counts
};
// By the mailbox "u@d", which is a key, or else by "@d". All on when there is no rule.
MailboxState mailbox_state(const Rules& rules, std::string_view mailbox);

// The values of the most exact name, in the order in which they are tried: u+ext@d, u@d, and the same in the target of
// an alias domain; then @d and @D. Of a kind that goes by domain: then d and D, their parents from the nearest on, and
// "*". `rung` becomes the step of the ladder, or its steps() for all that are no addresses.
const AddressList* find_by_ladder(const Rules& rules, RuleKind kind, const Ladder& ladder, std::size_t* rung = nullptr);
// The same for what is no address: a domain, "*" or "<>". `key` is one.
const AddressList* find_by_key(const Rules& rules, RuleKind kind, std::string_view key);

}  // namespace vmail::directory
