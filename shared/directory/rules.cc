#include "shared/directory/rules.h"

#include <algorithm>

#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/directory/idn.h"
#include "shared/directory/resolver.h"

namespace vmail::directory {
namespace {

constexpr std::array<const char*, kRuleKinds> kWords = {"transport",
                                                        "send-as",
                                                        "sender-bcc",
                                                        "recipient-bcc",
                                                        "sender-relay",
                                                        "sender-canonical",
                                                        "recipient-canonical",
                                                        "recipient-access",
                                                        "protect",
                                                        "external-in",
                                                        "external-out",
                                                        "limit",
                                                        "quota",
                                                        "state",
                                                        "spam",
                                                        "sieve",
                                                        "archive",
                                                        "message-size"};

constexpr std::string_view kAll = "*";
constexpr std::string_view kNullSender = "<>";

std::size_t index(RuleKind kind) {
  return static_cast<std::size_t>(kind);
}

// "d" as "@d" is a key, without the '@'; empty when it is none.
std::string domain_key(std::string_view domain) {
  const std::string key = address_key('@' + std::string(domain));
  return key.empty() ? key : key.substr(1);
}

bool is_usable(std::string_view value) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return !value.empty() && is_utf8(value) && std::none_of(value.begin(), value.end(), is_control);
}

// Values that are compared are keys; the others are what they are.
std::string value_of(RuleKind kind, std::string_view stored) {
  const std::string_view value = trim(stored);
  if (kind != RuleKind::SendAs && kind != RuleKind::Protect) return std::string(value);
  std::string key = address_key(value);
  return key.empty() ? fold_case(value) : key;
}

const AddressList* find_parents(const Rules& rules, RuleKind kind, std::string_view domain) {
  for (auto dot = domain.find('.', 1); dot != std::string_view::npos; dot = domain.find('.', dot + 1)) {
    if (const auto* values = rules.find(kind, domain.substr(dot))) return values;
  }
  return nullptr;
}

}  // namespace

const char* word(RuleKind kind) {
  return kWords[index(kind)];
}

std::string spoilt_rule(RuleKind kind) {
  return std::string("a ") + word(kind) +
         " rule has a value that is empty, not UTF-8 or has control characters: see the table virtual_rules";
}

std::optional<RuleKind> rule_kind(std::string_view word) {
  const auto found = std::find(kWords.begin(), kWords.end(), word);
  if (found == kWords.end()) return std::nullopt;
  return static_cast<RuleKind>(found - kWords.begin());
}

bool is_by_domain(RuleKind kind) {
  return kind == RuleKind::Transport || kind == RuleKind::RecipientAccess;
}

std::string rule_key(RuleKind kind, std::string_view stored) {
  const std::string_view name = trim(stored);
  if (is_by_domain(kind) && name.find('@') == std::string_view::npos) {
    if (name == kAll) return std::string(kAll);
    if (!name.starts_with('.')) return domain_key(name);
    const std::string parent = domain_key(name.substr(1));
    return parent.empty() ? parent : '.' + parent;
  }
  if (is_by_domain(kind) && name.starts_with('@')) return "";
  if (kind == RuleKind::SenderRelay && name == kNullSender) return std::string(kNullSender);
  const bool is_external = kind == RuleKind::ExternalIn || kind == RuleKind::ExternalOut;
  if (is_external && name.find('@') == std::string_view::npos) return address_key('@' + std::string(name));
  return address_key(name);
}

void Rules::add(RuleKind kind, std::string_view name, std::string_view stored) {
  std::string key = rule_key(kind, name);
  if (key.empty()) {
    if (left_out.empty()) left_out = std::string("a ") + word(kind) + " rule is named '" + printable(name) + "'";
    return;
  }
  std::string value = value_of(kind, stored);
  const bool usable = is_usable(value);
  if (usable && kind == RuleKind::SendAs) senders_[value].add(key);
  const auto [place, fresh] = by_name_[index(kind)].try_emplace(std::move(key));
  AddressList& values = place->second;
  const bool spoilt = !fresh && values.empty();
  if (spoilt) return;
  if (usable) {
    values.add(value);
    ++size_;
  } else {
    size_ = size_ - values.size() + 1;
    values.clear();
  }
}

const AddressList* Rules::find(RuleKind kind, std::string_view name) const {
  const Table& table = by_name_[index(kind)];
  if (table.empty()) return nullptr;
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

const AddressList* Rules::names(RuleKind kind, std::string_view value) const {
  if (kind != RuleKind::SendAs || senders_.empty()) return nullptr;
  const auto found = senders_.find(value);
  return found == senders_.end() ? nullptr : &found->second;
}

MailboxState mailbox_state(const Rules& rules, std::string_view mailbox) {
  MailboxState state;
  const AddressList* values = rules.find(RuleKind::State, mailbox);
  if (values == nullptr) values = rules.find(RuleKind::State, mailbox.substr(mailbox.rfind('@')));
  if (values == nullptr) return state;
  if (values->empty()) state.fault = "(none)";
  for (const auto value : *values) {
    if (value == "no-login") {
      state.no_login = true;
    } else if (value == "no-mail") {
      state.no_mail = true;
    } else if (value == "hold") {
      state.hold = true;
    } else if (value != "on") {
      state.fault = value;
    }
  }
  return state;
}

const AddressList* find_by_ladder(const Rules& rules, RuleKind kind, const Ladder& ladder, std::size_t* rung) {
  std::size_t step = 0;
  const AddressList* values = nullptr;
  for (; step < ladder.steps() && values == nullptr; ++step) values = rules.find(kind, ladder.key(ladder.step(step)));
  if (rung != nullptr) *rung = values != nullptr ? step - 1 : ladder.steps();
  if (values != nullptr) return values;

  const std::array<std::string_view, 2> domains = {ladder.domain, ladder.target};
  for (std::size_t i = 0; i < ladder.domains() && values == nullptr; ++i) {
    values = rules.find(kind, is_by_domain(kind) ? domains[i] : ladder.catch_all(i));
  }
  if (!is_by_domain(kind)) return values;
  for (std::size_t i = 0; i < ladder.domains() && values == nullptr; ++i) {
    values = find_parents(rules, kind, domains[i]);
  }
  return values != nullptr ? values : rules.find(kind, kAll);
}

const AddressList* find_by_key(const Rules& rules, RuleKind kind, std::string_view key) {
  const AddressList* values = rules.find(kind, key);
  if (values != nullptr || !is_by_domain(kind) || key == kAll) return values;
  values = find_parents(rules, kind, key);
  return values != nullptr ? values : rules.find(kind, kAll);
}

}  // namespace vmail::directory
