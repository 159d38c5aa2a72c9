#include "postfix-maps/policy/rules.h"

#include <algorithm>
#include <utility>

#include "shared/base/text.h"
#include "shared/directory/idn.h"

namespace vmail::policy {
namespace {

using config::Limit;
using directory::address_key;
using directory::RuleKind;

std::vector<Limit> parse_limits(const AddressList& texts, const std::string& name, bool of_domain, log::Throttle& log) {
  std::vector<Limit> limits;
  for (const auto text : texts) {
    std::string why;
    const auto limit = config::parse_limit(text, why);
    std::size_t suppressed = 0;
    if (!limit) {
      if (log.allow(suppressed)) {
        log::warning("policy: the limit \"{}\" of {} {}; `vmailctl limits set` mends it", printable(text),
                     printable(name), why);
      }
    } else if (limit->scope == Limit::Scope::Login || (of_domain && limit->scope == Limit::Scope::Domain)) {
      limits.push_back(*limit);
    }
  }
  return limits;
}

}  // namespace

std::string_view domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? std::string_view() : address.substr(at + 1);
}

bool is_named(const AddressList& list, const std::string& address) {
  if (address.empty()) return false;
  const std::string domain = '@' + std::string(domain_of(address));
  return std::any_of(list.begin(), list.end(), [&](std::string_view each) {
    const std::string key = address_key(each);
    return key == address || key == domain;
  });
}

std::optional<QuotaLimits> quota_of(directory::Directory& directory, const directory::Mailbox& mailbox, Instant now,
                                    log::Throttle& log) {
  const auto rule = directory.recall_rule(RuleKind::Quota, mailbox.address(), now);
  if (rule == nullptr || !rule->is_found() || rule->value().empty()) return std::nullopt;
  const std::string_view text = *rule->value().begin();
  const auto quota = config::parse_quota(text);
  std::size_t suppressed = 0;
  if (!quota && log.allow(suppressed)) {
    log::warning("policy: the quota of {} is \"{}\", which is none; `vmailctl quota` mends it",
                 printable(mailbox.address()), printable(text));
  }
  return quota && quota->any() ? quota : std::nullopt;
}

std::vector<Limit> limits_of(directory::Directory& directory, const std::string& login, std::vector<Limit> configured,
                             Instant now, log::Throttle& log) {
  // Nobody is called "*": what is found for it is the domain's.
  const std::string of_domain = "*@" + std::string(domain_of(login));
  for (const std::string& name : {of_domain, login}) {
    const auto rule = directory.recall_rule(RuleKind::Limit, name, now);
    if (rule == nullptr || !rule->is_found()) continue;
    configured = config::merge_limits(std::move(configured), parse_limits(rule->value(), login, name != login, log));
  }
  return configured;
}

}  // namespace vmail::policy
