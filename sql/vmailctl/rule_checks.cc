#include "sql/vmailctl/rule_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/rule_objects.h"

namespace vmail::sql {
namespace {

// What can be the name of a rule.
enum Form : unsigned { kAddress = 1, kWholeDomain = 2, kDomain = 4, kBelow = 8, kEverything = 16, kNullSender = 32 };
struct FormText {
  Form form;
  const char* text;
};
constexpr std::array<FormText, 6> kForms = {{{kAddress, "an address"},
                                             {kWholeDomain, "@DOMAIN"},
                                             {kDomain, "a domain"},
                                             {kBelow, ".DOMAIN (what is below it)"},
                                             {kEverything, "*"},
                                             {kNullSender, "<>"}}};

unsigned forms_of(RuleKind kind) {
  switch (kind) {
    case RuleKind::Transport:
      return kAddress | kDomain | kBelow | kEverything;
    case RuleKind::RecipientAccess:
      return kAddress | kDomain | kBelow;
    case RuleKind::SendAs:
    case RuleKind::Protect:
      return kAddress;
    case RuleKind::SenderRelay:
      return kAddress | kWholeDomain | kNullSender;
    case RuleKind::ExternalIn:
    case RuleKind::ExternalOut:
      return kAddress | kDomain;
    default:
      return kAddress | kWholeDomain;
  }
}

std::string domain_of(const std::string& name) {
  const auto at = name.rfind('@');
  return name.substr(at == std::string::npos ? name.find_first_not_of('.') : at + 1);
}

std::string check_name(RuleKind kind, const std::string& text) {
  const unsigned forms = forms_of(kind);
  if (text == "*" && (forms & kEverything) != 0) return text;
  if (text == "<>" && (forms & kNullSender) != 0) return text;
  const auto at = text.find('@');
  if (at != std::string::npos && at > 0 && (forms & kAddress) != 0) return new_address_key(text).text();
  if (at == 0 && (forms & kWholeDomain) != 0) return '@' + new_domain_key(text.substr(1));
  if (at == std::string::npos && text != "*" && text != "<>") {
    const bool below = text.substr(0, 1) == ".";
    if (below && (forms & kBelow) != 0) return '.' + new_domain_key(text.substr(1));
    if (!below && (forms & kDomain) != 0) return new_domain_key(text);
  }
  std::string known;
  for (const auto& form : kForms) {
    if ((forms & form.form) != 0) known += (known.empty() ? "" : ", ") + std::string(form.text);
  }
  throw Refusal(fmt::format("'{}' cannot be the name of a {} rule", printable(text), directory::word(kind)),
                "What can be: " + known + '.');
}

// Everything that a value is checked against.
struct Check {
  const App& app;
  Catalog& catalog;
  const std::vector<Rule>& there;
  RuleKind kind;
  const std::string& name;
  std::string note;

  bool is_ours(const std::string& domain) const { return catalog.domain(domain).has_value(); }
  Trace trace_of(const std::string& address) const {
    return trace(catalog, address, app.settings.addresses.recipient_delimiter);
  }

  void refuse_nowhere(const std::string& address) const {
    const Trace found = trace_of(address);
    if (!found.dead_ends.empty()) {
      throw Refusal(
          fmt::format("{} leads nowhere: there is no {} in our domain", address, found.dead_ends[0]),
          fmt::format("Make it first: vmailctl user add {0}, or vmailctl alias add {0} ...", found.dead_ends[0]));
    }
    if (!found.loop.empty()) {
      throw Refusal(fmt::format("{} leads round in a loop: {}", address, fmt::join(found.loop, " -> ")),
                    fmt::format("vmailctl alias show {}", address));
    }
  }

  void check_known_name() const;
  std::string value(const std::string& text);
  std::string send_as(const std::string& text);
  std::string bcc(const std::string& text) const;
  std::string one_of(const std::string& text, std::initializer_list<const char*> words) const;
  std::string archive(const std::string& text) const;
  std::string canonical(const std::string& text) const;
  std::string access(const std::string& text) const;
  std::string protect(const std::string& text) const;
  void refuse_canonical_loop(const std::string& to) const;
  void refuse_way_back(const std::string& next_hop) const;
};

Refusal bad_value(RuleKind kind, const std::string& text, const std::string& why) {
  return Refusal(fmt::format("'{}' is no value of a {} rule: {}", printable(text), directory::word(kind), why), "");
}

// A rule for somebody who does not exist would be forgotten, and found by who gets the address later.
void Check::check_known_name() const {
  if (name == "*" || name == "<>" || kind == RuleKind::RecipientAccess) return;
  const std::string domain = domain_of(name);
  if (kind == RuleKind::SendAs) {
    require_own_domain(catalog, domain);
    if (catalog.mailbox(name)) return;
    throw Refusal(fmt::format("there is no user {}", name), fmt::format("vmailctl user list {}", domain));
  }
  if (kind == RuleKind::Protect) {
    require_own_domain(catalog, domain);
    if (!catalog.aliases_at(name).empty()) return;
    throw Refusal(fmt::format("there is no alias {}", name), fmt::format("vmailctl alias list {}", domain));
  }
  if (is_about_mailboxes(kind)) {
    require_own_domain(catalog, domain);
    if (name.front() == '@' || catalog.mailbox(name)) return;
    throw Refusal(fmt::format("there is no user {}", name), fmt::format("vmailctl user list {}", domain));
  }
  if ((kind == RuleKind::ExternalIn || kind == RuleKind::ExternalOut) && !is_ours(domain)) {
    throw Refusal(fmt::format("there is no domain {}", domain), "`vmailctl domain list` shows them.");
  }
  if (name.find('@') != std::string::npos && name.front() != '@') refuse_nowhere(name);
}

std::string Check::value(const std::string& text) {
  switch (kind) {
    case RuleKind::Transport:
      if (const auto why = why_not_a_transport(text); !why.empty()) throw bad_value(kind, text, why);
      refuse_way_back(text.substr(text.find(':') + 1));
      if (name == "*" && text != ":") {
        note =
            "mail for your own domains goes there too, but for those with a rule of their own; "
            "vmailctl transport add DOMAIN : keeps one here";
      }
      return text;
    case RuleKind::SenderRelay:
      if (const auto why = why_not_a_next_hop(text); !why.empty()) throw bad_value(kind, text, why);
      refuse_way_back(text);
      return text;
    case RuleKind::SendAs:
      return send_as(text);
    case RuleKind::SenderBcc:
    case RuleKind::RecipientBcc:
      return bcc(text);
    case RuleKind::SenderCanonical:
    case RuleKind::RecipientCanonical:
      return canonical(text);
    case RuleKind::RecipientAccess:
      return access(text);
    case RuleKind::Protect:
      return protect(text);
    case RuleKind::ExternalIn:
    case RuleKind::ExternalOut:
      if (text != "no") throw bad_value(kind, text, "it is 'no', or there is no rule");
      return text;
    case RuleKind::Quota:
      if (const auto why = why_not_a_quota(text); !why.empty()) throw bad_value(kind, text, why);
      return text;
    case RuleKind::MessageSize:
      if (const auto why = why_not_a_size(text); !why.empty()) throw bad_value(kind, text, why);
      return text;
    case RuleKind::State:
      return one_of(text, {"on", "no-login", "no-mail", "hold"});
    case RuleKind::Spam:
      return one_of(text, {"junk", "inbox"});
    case RuleKind::Sieve:
      return one_of(text, {"yes", "no"});
    case RuleKind::Archive:
      return archive(text);
    case RuleKind::Limit:
      break;  // `vmailctl limits` makes them
  }
  throw bad_value(kind, text, "vmailctl limits makes these");
}

std::string Check::one_of(const std::string& text, std::initializer_list<const char*> words) const {
  if (std::find(words.begin(), words.end(), text) != words.end()) return text;
  throw bad_value(kind, text, fmt::format("it is {}", fmt::join(words, " or ")));
}

// A copy is filed beside the message, so that no alias is followed.
std::string Check::archive(const std::string& text) const {
  const Address to = new_address_key(text);
  require_own_domain(catalog, to.domain);
  if (!catalog.mailbox(to.text())) {
    throw Refusal(fmt::format("there is no user {}", to.text()),
                  "Copies go into a mailbox of ours; for one elsewhere see `vmailctl bcc`.");
  }
  if (to.text() == name) throw Refusal(fmt::format("a copy for {0} would go to {0} itself", name), "");
  return to.text();
}

// A bare domain is asked for its MX, which for ours is this host.
void Check::refuse_way_back(const std::string& next_hop) const {
  std::string host = next_hop.substr(0, next_hop.find(':'));
  if (host.empty() || host.front() == '[' || !is_ours(domain_key(host))) return;
  throw Refusal(fmt::format("{} is a domain of ours: mail sent to its MX would come back here", printable(host)),
                fmt::format("To name a machine, put it into brackets: [{}]", printable(host)));
}

std::string Check::send_as(const std::string& text) {
  if (text == "*") {
    note = fmt::format("{} may now send as anybody at all", name);
    return text;
  }
  const std::string to = text.substr(0, 1) == "@" ? '@' + new_domain_key(text.substr(1)) : new_address_key(text).text();
  if (to == name) throw Refusal(fmt::format("{} may send as itself without a rule", name), "");
  const std::string domain = domain_of(to);
  if (!is_ours(domain)) note = fmt::format("{} is not a domain of ours: receivers may reject mail as from it", domain);
  return to;
}

std::string Check::bcc(const std::string& text) const {
  const std::string to = new_address_key(text).text();
  refuse_nowhere(to);
  const auto ends = trace_of(to).ends;
  const bool to_itself = to == name || (ends.size() == 1 && ends[0] == name && kind == RuleKind::RecipientBcc);
  if (to_itself) throw Refusal(fmt::format("a copy for {} would go to {} itself", name, name), "");
  return to;
}

std::string Check::canonical(const std::string& text) const {
  const bool whole_domain = text.substr(0, 1) == "@";
  if (whole_domain && name.front() != '@') {
    throw Refusal(fmt::format("{} cannot become the whole domain {}", name, printable(text)),
                  "Only a name like @example.org can: each address becomes the same one in the other domain.");
  }
  const std::string to = whole_domain ? '@' + new_domain_key(text.substr(1)) : new_address_key(text).text();
  if (to == name) throw Refusal(fmt::format("{} would become itself", name), "");
  refuse_canonical_loop(to);
  if (!whole_domain) refuse_nowhere(to);
  return to;
}

// cleanup(8) looks a result up again, until nothing changes. The way of an address in the domain stands for that of
// "@domain" itself.
void Check::refuse_canonical_loop(const std::string& first) const {
  std::vector<std::string> way = {name};
  std::string at = first;
  for (;;) {
    const std::string whole = at.substr(at.rfind('@'));
    if (at == name || whole == name) {
      way.push_back(at);
      throw Refusal(fmt::format("{} to {} would be a loop: {}", name, first, fmt::join(way, " -> ")),
                    fmt::format("vmailctl {} list shows the others.", object_of(kind)));
    }
    // An address that its own rule leaves as it is goes no further.
    if (std::find(way.begin(), way.end(), at) != way.end()) return;
    way.push_back(at);
    const Rule* next = nullptr;
    for (const auto& rule : there) {
      if (rule.key() == at || (next == nullptr && rule.key() == whole)) next = &rule;
      if (next != nullptr && next->key() == at) break;
    }
    if (next == nullptr) return;
    const std::string to = directory::address_key(next->value);
    if (to.empty()) return;
    at = to.front() == '@' ? at.substr(0, at.rfind('@')) + to : to;
  }
}

std::string Check::access(const std::string& text) const {
  std::string address;
  const bool ours = name.front() != '.' && is_ours(domain_of(name));  // what is below a domain of ours is another's
  if (const auto why = why_not_an_action(text, ours, address); !why.empty()) throw bad_value(kind, text, why);
  if (!address.empty()) refuse_nowhere(new_address_key(address).text());
  return text;
}

std::string Check::protect(const std::string& text) const {
  if (text == "members" || text == "domain") return text;
  if (text.find('@') == std::string::npos) {
    throw bad_value(kind, text, "who may write is members, domain, an address or @DOMAIN");
  }
  return text.front() == '@' ? '@' + new_domain_key(text.substr(1)) : new_address_key(text).text();
}

}  // namespace

bool is_about_mailboxes(RuleKind kind) {
  switch (kind) {
    case RuleKind::Quota:
    case RuleKind::State:
    case RuleKind::Spam:
    case RuleKind::Sieve:
    case RuleKind::Archive:
    case RuleKind::MessageSize:
      return true;
    default:
      return false;
  }
}

bool takes_several(RuleKind kind) {
  return kind == RuleKind::SendAs || kind == RuleKind::Protect || kind == RuleKind::Limit || kind == RuleKind::State;
}

NewRule check_rule(const App& app, Catalog& catalog, const std::vector<Rule>& there, RuleKind kind,
                   const std::string& name_text, const std::string& value_text) {
  const std::string name = check_name(kind, name_text);
  Check check{app, catalog, there, kind, name, {}};
  check.check_known_name();
  std::string value = check.value(value_text);
  const std::string key = directory::rule_key(kind, name);
  for (const auto& rule : there) {
    if (rule.key() != key || (takes_several(kind) && rule.value != value)) continue;
    throw Refusal(fmt::format("there is a {} rule for {} already: {}{}", directory::word(kind), name,
                              printable(rule.value), rule.enabled ? "" : " (disabled)"),
                  rule.value == value ? "" : "To replace it: " + command_line(kind, "remove", name));
  }
  return {kind, name, std::move(value), std::move(check.note)};
}

}  // namespace vmail::sql
