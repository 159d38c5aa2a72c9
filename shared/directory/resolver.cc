#include "shared/directory/resolver.h"

#include "shared/base/text.h"

namespace vmail::directory {
namespace {

void begin(const Address& address, std::string_view domain, const Domains::Entry& entry, Ladder& ladder) {
  ladder.local.assign(address.local);
  ladder.user = address.local.size();
  ladder.domain.assign(domain);
  ladder.target.assign(entry.kind == DomainKind::Alias ? std::string_view(entry.target) : std::string_view());
}

// The destinations, or the like, of a name for this address: "@other" keeps the user (Postfix's mail_addr_map()), and
// an extension that was stripped is put back before the last '@', or at the end of a bare name (Postfix's
// mail_addr_crunch()).
void put_destinations(const AddressList& destinations, std::string_view local, std::string_view extension,
                      AddressList& into) {
  into.clear();
  for (const auto destination : destinations) {
    if (destination.starts_with('@')) {
      into.add({local, extension, destination});
    } else {
      const auto at = std::min(destination.rfind('@'), destination.size());
      into.add({destination.substr(0, at), extension, destination.substr(at)});
    }
  }
}

// What is the same for all rows: false when this one decides nothing.
template <class Row, class T>
bool decides(const Row& row, Outcome<T>& into) {
  if (row.fault.empty()) return false;
  into.fail(row.fault);
  return true;
}

// Whether a rule about its state cannot be used.
template <class T>
bool fails(const MailboxState& state, std::string_view key, Outcome<T>& into) {
  if (state.fault.empty()) return false;
  into.fail("the state of " + printable(key) + " is '" + printable(state.fault) +
            "', which is none; `vmailctl user state` mends it");
  return true;
}

}  // namespace

Ladder::Step Ladder::step(std::size_t index) const {
  const bool has_extension = user < local.size();
  return {has_extension && index % 2 == 1, index >= (has_extension ? 2U : 1U)};
}

std::string_view Ladder::key(Step step) const {
  return key_.assign(local_of(step)).append(1, '@').append(domain_of(step));
}

std::string_view Ladder::catch_all(std::size_t index) const {
  return key_.assign(1, '@').append(index == 0 ? domain : target);
}

std::vector<std::string> Ladder::step_keys() const {
  std::vector<std::string> result;
  result.reserve(steps() + domains());
  for (std::size_t i = 0; i < steps(); ++i) result.emplace_back(key(step(i)));
  return result;
}

std::vector<std::string> Ladder::keys() const {
  std::vector<std::string> result = step_keys();
  for (std::size_t i = 0; i < domains(); ++i) result.emplace_back(catch_all(i));
  return result;
}

void make_ladder(const Address& address, std::string_view domain, const Domains::Entry& entry,
                 const Extensions& extensions, Ladder& into) {
  begin(address, domain, entry, into);
  into.user = split_extension(into.local, extensions.delimiters).user.size();
}

void make_login_ladder(const Address& address, std::string_view domain, const Domains::Entry& entry, Ladder& into) {
  begin(address, domain, entry, into);
}

bool resolve_mailbox(const Ladder& ladder, const Extensions&, const Rules& rules, RowSource& rows,
                     Outcome<Mailbox>& into) {
  for (std::size_t i = 0; i < ladder.steps(); ++i) {
    const Ladder::Step step = ladder.step(i);
    const AddressRow* row = rows.find(ladder.key(step));
    if (row == nullptr) return false;
    if (decides(*row, into)) return true;
    if (row->mailbox == AddressRow::Mailbox::Off) return into.become(Status::Disabled), true;
    if (row->mailbox == AddressRow::Mailbox::None) continue;
    const MailboxState state = mailbox_state(rules, ladder.key(step));
    if (fails(state, ladder.key(step), into)) return true;
    if (state.no_mail) return into.become(Status::Disabled), true;
    Mailbox& mailbox = into.find_again();
    mailbox.hold = state.hold;
    mailbox.local.assign(ladder.local_of(step));
    mailbox.domain.assign(row->domain.empty() ? ladder.domain_of(step) : std::string_view(row->domain));
    mailbox.extension.assign(step.stripped ? ladder.extension() : std::string_view());
    return true;
  }
  into.become(Status::NotFound);
  return true;
}

bool resolve_aliases(const Ladder& ladder, const Extensions& extensions, const Rules&, RowSource& rows,
                     Outcome<AddressList>& into) {
  for (std::size_t i = 0; i < ladder.steps(); ++i) {
    const Ladder::Step step = ladder.step(i);
    const AddressRow* row = rows.find(ladder.key(step));
    if (row == nullptr) return false;
    if (decides(*row, into)) return true;
    const bool put_back = step.stripped && extensions.propagate_extension;
    const std::string_view extension = put_back ? ladder.extension() : std::string_view();
    if (!row->destinations.empty()) {
      put_destinations(row->destinations, ladder.local_of(step), extension, into.find_again());
      return true;
    }
    if (row->mailbox == AddressRow::Mailbox::Off) return into.become(Status::Disabled), true;
    if (row->mailbox == AddressRow::Mailbox::On) {
      if (!step.aliased) return into.become(Status::NotFound), true;
      // The address in the target domain, where its mailbox is.
      AddressList& list = into.find_again();
      list.clear();
      list.add({ladder.local_of(step), extension, "@",
                row->domain.empty() ? ladder.domain_of(step) : std::string_view(row->domain)});
      return true;
    }
    if (row->aliases_off) return into.become(Status::Disabled), true;
  }
  for (std::size_t i = 0; i < ladder.domains(); ++i) {
    const AddressRow* row = rows.find(ladder.catch_all(i));
    if (row == nullptr) return false;
    if (decides(*row, into)) return true;
    if (!row->destinations.empty()) {
      // The whole local part goes on, so there is nothing to put back.
      put_destinations(row->destinations, ladder.local, "", into.find_again());
      return true;
    }
    if (row->aliases_off) return into.become(Status::Disabled), true;
  }
  into.become(Status::NotFound);
  return true;
}

bool resolve_credentials(const Ladder& ladder, const Extensions&, const Rules& rules, CredentialSource& rows,
                         Outcome<Credentials>& into) {
  for (std::size_t i = 0; i < ladder.steps(); ++i) {
    const Ladder::Step step = ladder.step(i);
    const CredentialRow* row = rows.find(ladder.key(step));
    if (row == nullptr) return false;
    if (!row->exists) continue;
    if (decides(*row, into)) return true;
    if (!row->on) return into.become(Status::Disabled), true;
    const MailboxState state = mailbox_state(rules, ladder.key(step));
    if (fails(state, ladder.key(step), into)) return true;
    if (state.no_login) return into.become(Status::Disabled), true;
    Credentials& credentials = into.find_again();
    credentials.mailbox.local.assign(ladder.local_of(step));
    credentials.mailbox.domain.assign(row->domain.empty() ? ladder.domain_of(step) : std::string_view(row->domain));
    credentials.hash = row->hash.copy();
    credentials.scram = row->scram.copy();
    credentials.access = row->access;
    credentials.app_passwords_only = row->app_passwords_only;
    credentials.app_passwords = copy(row->app_passwords);
    return true;
  }
  into.become(Status::NotFound);
  return true;
}

void resolve_rule(const Ladder& ladder, const Extensions& extensions, const Rules& rules, RuleKind kind,
                  Outcome<AddressList>& into) {
  std::size_t rung = 0;
  const AddressList* values = find_by_ladder(rules, kind, ladder, &rung);
  if (values == nullptr) return into.become(Status::NotFound);
  if (values->empty()) return into.fail(spoilt_rule(kind));
  if (kind != RuleKind::SenderCanonical && kind != RuleKind::RecipientCanonical) {
    into.find_again() = *values;
  } else if (rung == ladder.steps()) {
    put_destinations(*values, ladder.local, "", into.find_again());
  } else {
    const Ladder::Step step = ladder.step(rung);
    const bool put_back = step.stripped && extensions.propagate_extension;
    put_destinations(*values, ladder.local_of(step), put_back ? ladder.extension() : "", into.find_again());
  }
}

}  // namespace vmail::directory
