#include "postfix-maps/policy/decision.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "postfix-maps/policy/rules.h"
#include "shared/base/text.h"
#include "shared/directory/idn.h"

namespace vmail::policy {
namespace {

using directory::address_key;
using directory::DomainKind;
using directory::Expansion;
using directory::Freshness;
using directory::Mailbox;
using directory::RuleKind;

std::uint64_t number(std::string_view digits) {
  return parse_number(digits).value_or(0);
}

}  // namespace

const char* word(Reason reason) {
  constexpr std::array<const char*, kReasons> kWords = {
      "pass", "login-off",    "not-owner",  "to-outside",     "from-outside",   "protected",
      "full", "limit-warned", "limit-held", "limit-deferred", "limit-rejected", "trouble"};
  return kWords[static_cast<std::size_t>(reason)];
}

Verdict::What at_limit(const config::Settings::Policy& settings) {
  if (settings.at_limit == "warn") return Verdict::What::Warn;
  if (settings.at_limit == "defer") return Verdict::What::Defer;
  if (settings.at_limit == "reject") return Verdict::What::Reject;
  return Verdict::What::Hold;
}

// One request, from its arrival to its reply: a chain of steps, each of which asks a question and goes on with its
// answer, at once or later. The questions that are out hold it.
class Policy::Check : public std::enable_shared_from_this<Policy::Check> {
 public:
  Check(Policy& policy, const Request& request)
      : arrival(policy.clock_.now()),
        state(request.state),
        sender(request.sender),
        recipient(request.recipient),
        login(request.sasl_username),
        policy_(policy),
        instance_(request.instance),
        queue_id_(request.queue_id),
        client_(request.client_address),
        size_(number(request.size)),
        recipient_count_(number(request.recipient_count)) {}

  std::optional<Reply> run(Later later) {
    if (login.empty()) {
      check_outside();
    } else {
      check_login();
    }
    inside_ = false;
    if (!reply_) later_ = std::move(later);
    return reply_;
  }

  const Instant arrival;
  const std::string state, sender, recipient, login;

 private:
  directory::Directory& directory() { return policy_.directory_; }

  // `ask(later)` asks a question of the directory, `then` takes its outcome.
  template <class T, class Ask, class Then>
  void with(Ask ask, Then then) {
    auto answer = ask([self = shared_from_this(), then](const Outcome<T>& outcome) { then(outcome); });
    if (answer) then(*answer);
  }

  void finish(Reason reason, std::string action) {
    policy_.note(*this, reason, arrival);
    Reply reply{std::move(action)};
    if (inside_) {
      reply_ = std::move(reply);
    } else if (later_) {
      std::exchange(later_, nullptr)(reply);
    }
  }
  void pass() { finish(Reason::Pass, "DUNNO"); }
  // True: that is the end of it.
  bool trouble(const std::string& reason) {
    if (!policy_.trouble(reason)) return false;
    finish(Reason::Trouble, "451 4.3.0 Temporary lookup failure");
    return true;
  }

  // ---- Who sends

  // The login is looked at anew for each message: a session that is open does not keep a login that was switched off.
  void check_login() {
    if (policy_.locked_.contains(login)) return refuse_login("is locked");
    with<Mailbox>([&](auto later) { return directory().mailbox(login, Freshness::FreshForRefusal, std::move(later)); },
                  [this](const Outcome<Mailbox>& outcome) {
                    if (outcome.is_temp_fail() && trouble(outcome.reason())) return;
                    if (!outcome.is_found() && !outcome.is_temp_fail()) {
                      return refuse_login("has been switched off");
                    }
                    if (outcome.is_found() && policy_.locked_.contains(outcome.value().address())) {
                      return refuse_login("is locked");
                    }
                    login_ = address_key(outcome.is_found() ? outcome.value().address() : login);
                    state == "END-OF-MESSAGE" ? count() : check_owner();
                  });
  }

  void refuse_login(const char* why) {
    finish(Reason::LoginOff, "521 5.7.1 " + printable(login) + ": this login " + why);
  }

  void check_owner() {
    if (!policy_.settings_.own_senders || sender.empty()) return check_outside();
    with<AddressList>([&](auto later) { return directory().owners(sender, std::move(later)); },
                      [this](const Outcome<AddressList>& outcome) {
                        if (outcome.is_temp_fail()) {
                          if (!trouble(outcome.reason())) check_outside();
                          return;
                        }
                        if (outcome.is_found() && is_mine(outcome.value())) return check_outside();
                        finish(Reason::NotOwner, "553 5.7.1 <" + printable(sender) +
                                                     ">: Sender address rejected: not owned by user " +
                                                     printable(login));
                      });
  }
  bool is_mine(const AddressList& owners) const {
    const std::string as_given = address_key(login);
    return std::any_of(owners.begin(), owners.end(), [&](std::string_view owner) {
      const std::string key = address_key(owner);
      return key == login_ || key == as_given;
    });
  }

  // ---- Who may write to whom

  void check_outside() {
    if (recipient.empty()) return pass();
    const bool out = !login.empty();
    with<AddressList>(
        [&](auto later) {
          return directory().rule(out ? RuleKind::ExternalOut : RuleKind::ExternalIn, out ? login_ : recipient,
                                  std::move(later));
        },
        [this, out](const Outcome<AddressList>& outcome) {
          if (outcome.is_temp_fail() && trouble(outcome.reason())) return;
          if (!outcome.is_found() || !outcome.value().contains("no")) return check_protected();
          if (out) return check_recipients_domain();
          finish(Reason::FromOutside, "550 5.7.1 <" + printable(recipient) + ">: takes no mail from outside");
        });
  }
  void check_recipients_domain() {
    const std::string_view domain = domain_of(recipient);
    if (domain.empty()) return check_protected();  // of this host
    with<DomainKind>([&](auto later) { return directory().domain(domain, std::move(later)); },
                     [this](const Outcome<DomainKind>& outcome) {
                       if (outcome.is_temp_fail() && trouble(outcome.reason())) return;
                       if (outcome.status() != Status::NotFound) return check_protected();
                       finish(Reason::ToOutside, "550 5.7.1 " + printable(login) + " may not send to other domains");
                     });
  }

  void check_protected() {
    with<AddressList>([&](auto later) { return directory().rule(RuleKind::Protect, recipient, std::move(later)); },
                      [this](const Outcome<AddressList>& outcome) {
                        if (outcome.is_temp_fail() && trouble(outcome.reason())) return;
                        if (!outcome.is_found()) return check_room();
                        allowed_ = outcome.value();
                        login.empty() ? check_foreign_sender() : check_list();
                      });
  }
  // Anybody can write one of our addresses as sender; without a login it proves nothing.
  void check_foreign_sender() {
    with<DomainKind>([&](auto later) { return directory().domain(domain_of(sender), std::move(later)); },
                     [this](const Outcome<DomainKind>& outcome) {
                       if (outcome.is_temp_fail() && trouble(outcome.reason())) return;
                       if (outcome.status() == Status::NotFound) foreign_ = address_key(sender);
                       check_list();
                     });
  }
  void check_list() {
    if (is_named(allowed_, login_) || is_named(allowed_, foreign_)) return check_room();
    if (!login.empty() && allowed_.contains("domain")) return check_same_domain();
    check_members();
  }
  // In the recipient's domain, or that which it is an alias of, the login's name leads to the login.
  void check_same_domain() {
    const std::string here = login_.substr(0, login_.rfind('@') + 1).append(domain_of(recipient));
    with<Mailbox>([&](auto later) { return directory().mailbox(here, Freshness::Cached, std::move(later)); },
                  [this](const Outcome<Mailbox>& outcome) {
                    if (outcome.is_temp_fail() && trouble(outcome.reason())) return;
                    if (outcome.is_found() && address_key(outcome.value().address()) == login_) return check_room();
                    check_members();
                  });
  }
  void check_members() {
    if (!allowed_.contains("members")) return refuse_protected();
    with<Expansion>(
        [&](auto later) { return directory().expansion(recipient, Freshness::Cached, std::move(later)); },
        [this](const Outcome<Expansion>& outcome) {
          if (outcome.is_temp_fail()) {
            if (!trouble(outcome.reason())) check_room();
            return;
          }
          const Expansion& members = outcome.value();
          const bool in = std::any_of(members.mailboxes.begin(), members.mailboxes.end(), [&](const Mailbox& member) {
            return !login_.empty() && address_key(member.address()) == login_;
          });
          const bool abroad = std::any_of(
              members.elsewhere.begin(), members.elsewhere.end(),
              [&](const std::string& member) { return !foreign_.empty() && address_key(member) == foreign_; });
          in || abroad ? check_room() : refuse_protected();
        });
  }
  void refuse_protected() {
    finish(Reason::Protected, "550 5.7.1 <" + printable(recipient) + ">: you may not write to this address");
  }

  // ---- Is there room

  void check_room() {
    if (policy_.usage_ == nullptr || policy_.settings_.full_mailbox == "accept") return gather();
    with<Expansion>([&](auto later) { return directory().expansion(recipient, Freshness::Cached, std::move(later)); },
                    [this](const Outcome<Expansion>& outcome) {
                      if (outcome.is_temp_fail()) {
                        if (!trouble(outcome.reason())) gather();
                        return;
                      }
                      ask_usage(outcome.value());
                    });
  }
  void ask_usage(const Expansion& targets) {
    if (targets.mailboxes.empty() || !targets.elsewhere.empty() || targets.too_many) return gather();
    std::vector<QuotaLimits> quotas;
    for (const auto& mailbox : targets.mailboxes) {
      const auto quota = quota_of(directory(), mailbox, arrival, policy_.value_log_);
      if (!quota) return gather();  // room without end
      quotas.push_back(*quota);
    }
    policy_.usage_->ask(targets.mailboxes, [self = shared_from_this(), quotas](const std::vector<Outcome<Used>>& used) {
      self->take_usage(quotas, used);
    });
  }
  // With no room in any of them the recipient is refused.
  void take_usage(const std::vector<QuotaLimits>& quotas, const std::vector<Outcome<Used>>& used) {
    for (std::size_t i = 0; i < quotas.size(); ++i) {
      if (i >= used.size() || !used[i].is_found()) {
        const std::string reason = i < used.size() ? used[i].reason() : "no answer about a mailbox";
        if (!trouble(reason)) gather();
        return;
      }
      const Used& there = used[i].value();
      if (has_room(quotas[i], there.bytes, there.messages, size_)) return gather();
    }
    const char* code = policy_.settings_.full_mailbox == "reject" ? "552 5.2.2" : "452 4.2.2";
    finish(Reason::Full, fmt::format("{} <{}>: the mailbox is full", code, printable(recipient)));
  }

  // ---- How much is sent

  void gather() {
    if (!login.empty() && state == "RCPT") {
      const std::string key = address_key(recipient);
      policy_.recipients_.add(instance_, key.empty() ? recipient : key, policy_.clock_.now());
    }
    pass();
  }

  void count() {
    Sent sent;
    sent.login = login_;
    sent.client = client_;
    sent.queue_id = queue_id_;
    sent.bytes = size_;
    sent.distinct = policy_.recipients_.take(instance_);
    // Postfix says how many there are in the end; what was gathered says who they are.
    sent.recipients = recipient_count_ > 0 ? recipient_count_ : sent.distinct.size();
    sent.limits = limits_of(directory(), login_, policy_.default_limits_, arrival, policy_.value_log_);
    if (sent.limits.empty()) return pass();
    const auto verdict = policy_.limits_.count(
        std::move(sent), [self = shared_from_this()](const Verdict& later) { self->take_verdict(later); });
    if (verdict) take_verdict(*verdict);
  }
  void take_verdict(const Verdict& verdict) {
    const std::string& text = policy_.settings_.limit_text;
    switch (verdict.what) {
      case Verdict::What::Within:
        return pass();
      case Verdict::What::Warn:
        return limit_reached(verdict, Reason::LimitWarned, "DUNNO", "only a warning");
      case Verdict::What::Hold:
        return limit_reached(verdict, Reason::LimitHeld, "HOLD " + text, "held in the queue");
      case Verdict::What::Defer:
        return limit_reached(verdict, Reason::LimitDeferred, "450 4.7.1 " + text, "deferred");
      case Verdict::What::Reject:
        return limit_reached(verdict, Reason::LimitRejected, "550 5.7.1 " + text, "rejected");
    }
  }
  void limit_reached(const Verdict& verdict, Reason reason, std::string action, const char* what) {
    const std::string limit = config::limit_text(verdict.limit);
    log::warning("policy login={} limit=\"{}\" used={} queue_id={} result={}", printable(login_), limit, verdict.used,
                 printable(queue_id_), word(reason));
    if (verdict.first && policy_.tell_) policy_.tell_({login_, limit, what, verdict.used});
    finish(reason, std::move(action));
  }

  Policy& policy_;
  const std::string instance_, queue_id_, client_;
  const std::uint64_t size_, recipient_count_;
  std::string login_;    // its mailbox, as key
  std::string foreign_;  // the sender, when it is of no domain of ours and there is no login; as key
  AddressList allowed_;  // to write to a protected recipient
  bool inside_ = true;   // the call that asked has not returned
  std::optional<Reply> reply_;
  Later later_;
};

Policy::Policy(const Clock& clock, directory::Directory& directory, const directory::DenyList& locked, Limits& limits,
               Usage* usage, const config::Settings::Policy& settings, Tell tell)
    : clock_(clock), directory_(directory), locked_(locked), limits_(limits), usage_(usage), tell_(std::move(tell)) {
  reload(settings);
}

std::optional<Reply> Policy::ask(const Request& request, Later later) {
  const bool counted = request.state == "END-OF-MESSAGE" && !request.sasl_username.empty();
  if (request.state != "MAIL" && request.state != "RCPT" && !counted) return Reply();
  return std::make_shared<Check>(*this, request)->run(std::move(later));
}

void Policy::reload(const config::Settings::Policy& settings) {
  settings_ = settings;
  default_limits_.clear();
  for (const auto& text : settings_.limits) {
    std::string why;  // the configuration has been checked
    if (const auto limit = config::parse_limit(text, why)) default_limits_.push_back(*limit);
  }
}

void Policy::metrics(metrics::Registry& registry) {
  for (std::size_t i = 0; i < kReasons; ++i) {
    decisions_[i] = &registry.counter("vmailkit_policy_decisions_total", "Replies of the policy server, by reason.",
                                      {{"reason", word(static_cast<Reason>(i))}});
  }
  troubles_ = &registry.counter("vmailkit_policy_troubles_total",
                                "Questions of the policy server that could not be answered, whatever the reply was.");
  time_ = &registry.histogram("vmailkit_policy_seconds", "Time from a policy request's arrival to its reply.");
}

void Policy::note(const Check& check, Reason reason, Instant arrival) {
  if (time_ != nullptr) {
    decisions_[static_cast<std::size_t>(reason)]->add();
    time_->observe(clock_.now() - arrival);
  }
  if (reason == Reason::Pass) {
    if (log::level() >= log::Level::Debug) {
      log::debug("policy state={} login={} sender={} recipient={} result=pass", printable(check.state),
                 printable(check.login), printable(check.sender), printable(check.recipient));
    }
  } else {
    log::info("policy state={} login={} sender={} recipient={} result={}", printable(check.state),
              printable(check.login), printable(check.sender), printable(check.recipient), word(reason));
  }
}

bool Policy::trouble(const std::string& reason) {
  if (troubles_ != nullptr) troubles_->add();
  std::size_t suppressed = 0;
  const bool defers = settings_.on_trouble == "defer";
  if (trouble_log_.allow(suppressed)) {
    const std::string more = suppressed > 0 ? fmt::format(" ({} others not logged)", suppressed) : "";
    log::warning("policy result={}: {}{}", defers ? "defer" : "dunno", reason, more);
  }
  return defers;
}

}  // namespace vmail::policy
