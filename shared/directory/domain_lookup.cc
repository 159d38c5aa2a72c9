#include <cassert>

#include "shared/base/text.h"
#include "shared/directory/directory_state.h"
#include "shared/directory/idn.h"

namespace vmail::directory {

// nullptr: they have not been read, and are to be waited for unless there is a `failure`.
const Domains* Directory::State::look_domains(Instant now, const std::string*& failure) const {
  assert(loop.on_loop());
  static const std::string stopping = kStopping;
  if (stopped) {
    failure = &stopping;
    return nullptr;
  }
  const Domains* sets = domains->current(now);
  if (sets == nullptr && !breaker.closed()) failure = &breaker.reason();
  return sets;
}

// What recall() says, at once or when the domains have been read.
template <class T, class Recall>
Answer<T> Directory::State::ask_domains(Recall recall, Later<T> later) {
  if (const auto known = recall()) return *known;
  auto resume = [weak = weak_from_this(), recall = std::move(recall),
                 later = std::move(later)](const std::string* failure) mutable {
    if (weak.expired()) return later(Outcome<T>::temp_fail(kStopping));
    if (failure != nullptr) return later(Outcome<T>::temp_fail(*failure));
    const auto known = recall();
    later(known ? *known : Outcome<T>::temp_fail("the domains could not be read"));
  };
  domains->wait(clock.now() + settings.database.deadline, Instant::min(), std::move(resume));
  return std::nullopt;
}

// Makes `ladder` for an address in any domain; false when it is none.
bool Directory::State::climb(std::string_view name, const Domains& sets) {
  static const Domains::Entry foreign{DomainKind::Relay, ""};
  if (!parse_address(name, address)) return false;
  a_label(address.domain, domain_key);
  const Domains::Entry* entry = sets.find(domain_key);
  make_ladder(address, domain_key, entry == nullptr ? foreign : *entry, extensions, ladder);
  return true;
}

void Directory::State::look_rule(const Domains& sets, RuleKind kind, std::string_view name,
                                 Outcome<AddressList>& outcome) {
  const Rules& rules = *sets.rules;
  if (!rules.fault.empty()) return outcome.fail(rules.fault);
  if (climb(name, sets)) return resolve_rule(ladder, extensions, rules, kind, outcome);
  const std::string key = name.starts_with('@') ? "" : rule_key(kind, name);
  const AddressList* values = key.empty() ? nullptr : find_by_key(rules, kind, key);
  if (values == nullptr) {
    outcome.become(Status::NotFound);
  } else if (values->empty()) {
    outcome.fail(spoilt_rule(kind));
  } else {
    outcome.find_again() = *values;
  }
}

Outcome<AddressList> Directory::State::owners(std::string_view sender, const Outcome<Expansion>& ends) {
  using Owners = Outcome<AddressList>;
  if (!ends.is_found()) return Owners::without_value(ends);
  const Domains* sets = domains->current(clock.now());
  if (sets == nullptr || !climb(sender, *sets)) return Owners::temp_fail("the domains are not known any more");
  if (!sets->rules->fault.empty()) return Owners::temp_fail(sets->rules->fault);
  AddressList owners;
  const auto add = [&](std::string_view login) {
    if (!owners.contains(login)) owners.add(login);
  };
  for (const auto& mailbox : ends.value().mailboxes) add(mailbox.address());
  std::vector<std::string> senders = ladder.keys();
  senders.emplace_back("*");
  for (const auto& key : senders) {
    const AddressList* logins = sets->rules->names(RuleKind::SendAs, key);
    if (logins == nullptr) continue;
    for (const auto login : *logins) {
      add(login);
      // How the mailbox's row spells its domain, only the row knows.
      const auto at = login.rfind('@') + 1;
      add(std::string(login.substr(0, at)) + u_label(login.substr(at)));
    }
  }
  auto outcome = owners.empty() ? Owners::not_found() : Owners::found(std::move(owners));
  outcome.set_source(ends.source());
  return outcome;
}

// Drops what is in no domain that is on.
Outcome<MailboxPage> Directory::State::in_domains(Outcome<MailboxPage> found) {
  if (!found.is_found()) return found;
  const Domains* sets = domains->current(clock.now());
  if (sets == nullptr) return Outcome<MailboxPage>::temp_fail("the domains are not known");
  MailboxPage page = std::move(found).value();
  std::erase_if(page.mailboxes, [&](const MailboxPage::Entry& entry) {
    const auto* known = sets->find(a_label(std::string_view(entry.address).substr(entry.address.rfind('@') + 1)));
    return known == nullptr || known->kind != DomainKind::Own;
  });
  return Outcome<MailboxPage>::found(std::move(page));
}

// ---- The class

void Directory::mailboxes(std::uint64_t after, Later<MailboxPage> later) {
  State& state = *state_;
  if (state.stopped) {
    return state.loop.post([later = std::move(later)]() mutable { later(Outcome<MailboxPage>::temp_fail(kStopping)); });
  }
  state.database->mailboxes(
      after, state.clock.now() + state.settings.database.deadline,
      [weak = std::weak_ptr(state_), later = std::move(later)](Outcome<MailboxPage> page) mutable {
        const auto self = weak.lock();
        later(self ? self->in_domains(std::move(page)) : Outcome<MailboxPage>::temp_fail(kStopping));
      });
}

Recalled<DomainKind> Directory::recall_domain(std::string_view name, Instant now) {
  State& state = *state_;
  auto& outcome = state.out<DomainKind>();
  outcome.set_source(Source::Memory);
  const std::string* failure = nullptr;
  const Domains* domains = state.look_domains(now, failure);
  if (!state.stopped && (name.empty() || name.size() > kMaxAddress || !is_utf8(name))) {
    outcome.become(Status::NotFound);
  } else if (domains == nullptr) {
    if (failure == nullptr) return nullptr;
    outcome.fail(*failure);
  } else {
    fold_case(name, state.address.domain);
    a_label(state.address.domain, state.domain_key);
    const Domains::Entry* entry = domains->find(state.domain_key);
    if (entry == nullptr) {
      outcome.become(Status::NotFound);
    } else {
      outcome.find_again() = entry->kind;
    }
  }
  state.count(outcome);
  return &outcome;
}

Answer<DomainKind> Directory::domain(std::string_view name, Later<DomainKind> later) {
  auto recall = [this, name = std::string(name)] { return recall_domain(name, state_->clock.now()); };
  return state_->ask_domains<DomainKind>(std::move(recall), std::move(later));
}

Recalled<AddressList> Directory::recall_rule(RuleKind kind, std::string_view address, Instant now) {
  State& state = *state_;
  auto& outcome = state.out<AddressList>();
  outcome.set_source(Source::Memory);
  const std::string* failure = nullptr;
  const Domains* domains = state.look_domains(now, failure);
  if (domains != nullptr) {
    state.look_rule(*domains, kind, address, outcome);
  } else if (failure != nullptr) {
    outcome.fail(*failure);
  } else {
    return nullptr;
  }
  state.count(outcome);
  return &outcome;
}

bool Directory::rules_readable(Instant now) const {
  const Domains* domains = state_->domains->current(now);
  return domains == nullptr || domains->rules->fault.empty();
}

Answer<AddressList> Directory::rule(RuleKind kind, std::string_view address, Later<AddressList> later) {
  auto recall = [this, kind, name = std::string(address)] { return recall_rule(kind, name, state_->clock.now()); };
  return state_->ask_domains<AddressList>(std::move(recall), std::move(later));
}

Answer<Expansion> Directory::expansion(std::string_view address, Freshness freshness, Later<Expansion> later) {
  return state_->expander->expand(address, freshness, Expander::Way::OfMail, std::move(later));
}

Answer<AddressList> Directory::owners(std::string_view sender, Later<AddressList> later) {
  if (!parse_address(sender)) return Outcome<AddressList>::not_found();
  auto ends = state_->expander->expand(
      sender, Freshness::Cached, Expander::Way::OfOwners,
      [weak = state_->weak_from_this(), name = std::string(sender), later = std::move(later)](auto expanded) mutable {
        const auto self = weak.lock();
        later(self ? self->owners(name, expanded) : Outcome<AddressList>::temp_fail(kStopping));
      });
  if (!ends) return std::nullopt;
  return state_->owners(sender, *ends);
}

}  // namespace vmail::directory
