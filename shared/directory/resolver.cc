#include "shared/directory/resolver.h"

#include "shared/directory/idn.h"

namespace vmail::directory {
namespace {

void add_steps(Ladder& ladder, std::string_view user, const std::string& domain, bool aliased) {
  ladder.steps.push_back({ladder.local + '@' + domain, ladder.local, domain, false, aliased});
  if (!ladder.extension.empty()) {
    ladder.steps.push_back({std::string(user) + '@' + domain, std::string(user), domain, true, aliased});
  }
}

Ladder begin(const Address& address, const Domains::Entry& entry) {
  Ladder ladder;
  ladder.local = address.local;
  ladder.domain = a_label(address.domain);
  if (entry.kind == DomainKind::Alias) ladder.target = entry.target;
  return ladder;
}

// Postfix's mail_addr_crunch(): before the last '@', or at the end of a bare name.
std::string with_extension(const std::string& address, std::string_view extension) {
  std::string text = address;
  const auto at = text.rfind('@');
  return text.insert(at == std::string::npos ? text.size() : at, extension);
}

// What the destinations of a row are for this address: "@other" keeps the user (Postfix's mail_addr_map()), and an
// extension that was stripped is put back.
std::vector<std::string> destinations(const AddressRow& row, std::string_view local, std::string_view extension) {
  std::vector<std::string> result;
  result.reserve(row.destinations.size());
  for (const auto& destination : row.destinations) {
    const std::string whole = destination.starts_with('@') ? std::string(local) + destination : destination;
    result.push_back(with_extension(whole, extension));
  }
  return result;
}

}  // namespace

std::vector<std::string> Ladder::keys() const {
  std::vector<std::string> result;
  result.reserve(steps.size() + catch_alls.size());
  for (const auto& step : steps) result.push_back(step.key);
  result.insert(result.end(), catch_alls.begin(), catch_alls.end());
  return result;
}

Ladder make_ladder(const Address& address, const Domains::Entry& entry, const Rules& rules) {
  Ladder ladder = begin(address, entry);
  const LocalPart parts = split_extension(address.local, rules.delimiters);
  ladder.extension = parts.extension;
  add_steps(ladder, parts.user, ladder.domain, false);
  ladder.catch_alls.push_back('@' + ladder.domain);
  if (!ladder.target.empty()) {
    add_steps(ladder, parts.user, ladder.target, true);
    ladder.catch_alls.push_back('@' + ladder.target);
  }
  return ladder;
}

Ladder make_login_ladder(const Address& address, const Domains::Entry& entry) {
  Ladder ladder = begin(address, entry);
  add_steps(ladder, address.local, ladder.domain, false);
  if (!ladder.target.empty()) add_steps(ladder, address.local, ladder.target, true);
  return ladder;
}

Resolution<Mailbox> resolve_mailbox(const Ladder& ladder, RowSource& rows) {
  for (const auto& step : ladder.steps) {
    const AddressRow* row = rows.find(step.key);
    if (row == nullptr) return std::nullopt;
    if (!row->fault.empty()) return Outcome<Mailbox>::temp_fail(row->fault);
    if (row->mailbox == AddressRow::Mailbox::Off) return Outcome<Mailbox>::disabled();
    if (row->mailbox == AddressRow::Mailbox::None) continue;
    Mailbox mailbox;
    mailbox.local = step.local;
    mailbox.domain = row->domain.empty() ? step.domain : row->domain;
    if (step.stripped) mailbox.extension = ladder.extension;
    return Outcome<Mailbox>::found(std::move(mailbox));
  }
  return Outcome<Mailbox>::not_found();
}

Resolution<std::vector<std::string>> resolve_aliases(const Ladder& ladder, const Rules& rules, RowSource& rows) {
  using Result = Outcome<std::vector<std::string>>;
  for (const auto& step : ladder.steps) {
    const AddressRow* row = rows.find(step.key);
    if (row == nullptr) return std::nullopt;
    if (!row->fault.empty()) return Result::temp_fail(row->fault);
    const bool put_back = step.stripped && rules.propagate_extension;
    const std::string_view extension = put_back ? std::string_view(ladder.extension) : std::string_view();
    if (!row->destinations.empty()) return Result::found(destinations(*row, step.local, extension));
    switch (row->mailbox) {
      case AddressRow::Mailbox::On: {
        if (!step.aliased) return Result::not_found();
        // The address in the target domain, where its mailbox is.
        const std::string& domain = row->domain.empty() ? step.domain : row->domain;
        return Result::found({step.local + std::string(extension) + '@' + domain});
      }
      case AddressRow::Mailbox::Off:
        return Result::disabled();
      case AddressRow::Mailbox::None:
        break;
    }
    if (row->aliases_off) return Result::disabled();
  }
  for (const auto& key : ladder.catch_alls) {
    const AddressRow* row = rows.find(key);
    if (row == nullptr) return std::nullopt;
    if (!row->fault.empty()) return Result::temp_fail(row->fault);
    // The whole local part goes on, so there is nothing to put back.
    if (!row->destinations.empty()) return Result::found(destinations(*row, ladder.local, ""));
    if (row->aliases_off) return Result::disabled();
  }
  return Result::not_found();
}

Outcome<Credentials> resolve_credentials(const Ladder& ladder, CredentialRows rows) {
  for (const auto& step : ladder.steps) {
    const auto found = rows.find(step.key);
    if (found == rows.end()) continue;
    CredentialRow& row = found->second;
    if (!row.fault.empty()) return Outcome<Credentials>::temp_fail(row.fault);
    if (!row.on) return Outcome<Credentials>::disabled();
    Credentials credentials;
    credentials.mailbox.local = step.local;
    credentials.mailbox.domain = row.domain.empty() ? step.domain : row.domain;
    credentials.hash = std::move(row.hash);
    return Outcome<Credentials>::found(std::move(credentials));
  }
  return Outcome<Credentials>::not_found();
}

}  // namespace vmail::directory
