#include "sql/vmailctl/keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/rule_objects.h"

namespace vmail::sql {
namespace {

constexpr std::size_t kMostNamed = 5;

std::optional<std::string> why_not_a_new_domain(const std::string& domain) {
  if (auto why = why_not_a_domain(domain)) return why;
  for (const char c : directory::a_label(fold_case(domain))) {
    if (static_cast<unsigned char>(c) >= 0x80)
      return "internationalised names (IDNA 2008) do not have these characters";
  }
  return std::nullopt;
}

struct Named {
  std::string name;
  std::string command;  // that removes it
};
void refuse_named(const std::vector<Named>& things, const std::string& what, const char* why) {
  if (things.empty()) return;
  std::string names, commands;
  for (std::size_t i = 0; i < std::min(things.size(), kMostNamed); ++i) {
    names += (i == 0 ? "" : ", ") + things[i].name;
    commands += "\n    " + things[i].command;
  }
  if (things.size() > kMostNamed) names += fmt::format(" and {} more", things.size() - kMostNamed);
  throw Refusal(fmt::format("{}: {}: {}", what, why, names), "Remove or redirect them first:" + commands);
}

}  // namespace

std::string domain_key(const std::string& text) {
  if (text.find('@') != std::string::npos) {
    throw Refusal(fmt::format("'{}' is not a domain: there is an '@' in it", printable(text)), "");
  }
  return directory::a_label(fold_case(text));
}

std::string new_domain_key(const std::string& text) {
  if (const auto why = why_not_a_new_domain(text)) {
    throw Refusal(fmt::format("'{}' cannot be a mail domain: {}", printable(text), *why), "");
  }
  return directory::a_label(fold_case(text));
}

Address address_key(const std::string& text) {
  auto address = parse_address(text);
  if (!address) throw Refusal(fmt::format("'{}' is not a mail address like user@example.org", printable(text)), "");
  address->domain = directory::a_label(address->domain);
  return std::move(*address);
}

Address new_address_key(const std::string& text) {
  const auto at = text.rfind('@');
  const auto refuse = [&](const std::string& why) {
    return Refusal(fmt::format("'{}' is an address that no mail server would take: {}", printable(text), why), "");
  };
  if (at == std::string::npos) throw refuse("there is no '@' in it");
  if (const auto why = why_not_a_local_part(text.substr(0, at))) throw refuse(*why);
  if (const auto why = why_not_a_new_domain(text.substr(at + 1))) throw refuse("after the '@': " + *why);
  auto address = parse_address(text);
  if (!address) throw refuse(fmt::format("it is longer than {} characters, or not UTF-8", kMaxAddress));
  address->domain = directory::a_label(address->domain);
  return std::move(*address);
}

std::string alias_key(const std::string& text) {
  if (!text.empty() && text.front() == '@') return '@' + domain_key(text.substr(1));
  return address_key(text).text();
}

std::string spelled(const std::string& key, const Domain& domain) {
  return key.substr(0, key.rfind('@') + 1) + fold_case(domain.name);
}

Domain require_own_domain(Catalog& catalog, const std::string& name) {
  auto domain = catalog.domain(name);
  if (!domain) {
    throw Refusal(
        fmt::format("there is no domain {}", printable(name)),
        fmt::format("`vmailctl domain list` shows them; to make it: vmailctl domain add {}", printable(name)));
  }
  if (domain->kind == DomainKind::Alias) {
    throw Refusal(fmt::format("{} is an alias domain: its addresses are those of {}", domain->name, domain->target),
                  fmt::format("Use the address in {} instead.", domain->target));
  }
  if (domain->kind == DomainKind::Relay) {
    throw Refusal(fmt::format("{} is a relay domain: its mail is passed on to another server", domain->name),
                  "Its addresses are made there.");
  }
  return std::move(*domain);
}

bool is_login(Catalog& catalog, const std::string& typed, const std::string& address) {
  const std::string key = directory::address_key(typed);
  if (key == address) return true;
  const auto at = key.rfind('@');
  if (at == std::string::npos) return false;
  const auto target = catalog.alias_target(key.substr(at + 1));
  return target && directory::address_key(key.substr(0, at + 1) + *target) == address;
}

void refuse_existing_domain(Catalog& catalog, const std::string& name) {
  const auto there = catalog.domain(name);
  if (!there) return;
  throw Refusal(fmt::format("{} is there already, as {} domain", there->name,
                            there->kind == DomainKind::Own     ? "our own"
                            : there->kind == DomainKind::Alias ? "an alias"
                                                               : "a relay"),
                fmt::format("vmailctl domain show {}", there->name));
}

std::vector<Alias> dangling_after(Catalog& catalog, AliasView& after, const std::string& gone,
                                  const std::string& delimiters) {
  const std::string domain = gone.substr(gone.rfind('@') + 1);
  const std::string local = gone.substr(0, gone.rfind('@'));
  std::vector<Alias> candidates = catalog.aliases_to(gone);
  for (const auto& alias_domain : catalog.alias_domains_of(domain)) {
    auto more = catalog.aliases_to(local + '@' + domain_key(alias_domain.name));
    candidates.insert(candidates.end(), more.begin(), more.end());
  }
  std::vector<Alias> dangling;
  for (const auto& alias : candidates) {
    const auto still = after.destinations(directory::address_key(alias.source));
    const std::string destination = directory::address_key(alias.destination);
    if (std::find(still.begin(), still.end(), destination) == still.end()) continue;  // goes as well
    if (trace(after, destination, delimiters).dead_ends.empty()) continue;
    if (trace(catalog, destination, delimiters).dead_ends.empty()) dangling.push_back(alias);
  }
  return dangling;
}

void refuse_dangling(const std::vector<Alias>& dangling, const std::string& what) {
  std::vector<Named> named;
  for (const auto& alias : dangling) {
    const std::string source = printable(alias.source);
    named.push_back({source, fmt::format("vmailctl alias remove {} {}", source, printable(alias.destination))});
  }
  refuse_named(named, what, "aliases still lead there");
}

void refuse_rules(const std::vector<Rule>& rules, const std::string& what) {
  std::vector<Named> named;
  for (const auto& rule : rules) {
    named.push_back({fmt::format("{} {}", directory::word(rule.kind), printable(rule.name)),
                     command_line(rule.kind, "remove", rule.name, rule.value)});
  }
  refuse_named(named, what, "rules still name it");
}

}  // namespace vmail::sql
