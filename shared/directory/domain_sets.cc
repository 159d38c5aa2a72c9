#include "shared/directory/domain_sets.h"

#include <fmt/format.h>

#include <cassert>
#include <vector>

#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

constexpr std::size_t kMaxWaiting = 10000;
// So many rules may go at once in good faith.
constexpr std::size_t kFewRules = 10;

}  // namespace

DomainSets::DomainSets(Loop& loop, const Clock& clock, Database& database, Guard& guard, Times times,
                       MoveOnlyFunction<void()> schema_changed)
    : loop_(loop),
      clock_(clock),
      database_(database),
      guard_(guard),
      times_(times),
      schema_changed_(std::move(schema_changed)),
      next_reading_(loop),
      next_deadline_(loop) {}

void DomainSets::load() {
  assert(loop_.on_loop());
  if (loading_ || stopped_) return;
  loading_ = true;
  next_reading_.cancel();
  const Instant began = clock_.now();
  database_.domains(began + times_.deadline, [weak = weak_from_this(), began, request = requests_](auto outcome) {
    if (const auto self = weak.lock()) self->loaded(began, request, std::move(outcome));
  });
}

void DomainSets::load_anew() {
  ++requests_;
  load();
}

void DomainSets::loaded(Instant began, std::uint64_t request, Outcome<std::shared_ptr<const Domains>> outcome) {
  assert(loop_.on_loop());
  loading_ = false;
  if (stopped_) return;
  failure_ = outcome.reason();
  const bool good = outcome.is_found() && take(std::move(outcome).value(), began);
  const Duration pause = request != requests_ ? Duration::zero() : good ? times_.refresh : times_.retry;
  next_reading_.start(pause, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->load();
  });

  if (good) {
    resume(nullptr, [this](Instant, const Waiter& waiter) { return read_since(waiter.since); });
    if (!waiting_.empty()) load();
  } else if (domains_) {
    resume(&failure_, [](Instant, const Waiter&) { return true; });
  }
}

const Domains* DomainSets::current(Instant now) const {
  return domains_ && now - read_at_ < times_.stale + times_.refresh + times_.deadline ? domains_.get() : nullptr;
}

void DomainSets::restore(std::shared_ptr<const Domains> domains, Instant read_at) {
  domains_ = std::move(domains);
  read_at_ = read_at;
}

bool DomainSets::plausible(const Domains& domains) {
  if (!domains_) return true;
  const std::size_t rules_before = domains_->rules->size(), rules = domains.rules->size();
  if (!guard_.plausible(domains_->size(), domains.size())) {
    failure_ = fmt::format("a reading of the domains has {} instead of {}", domains.size(), domains_->size());
  } else if (rules_before >= kFewRules && !guard_.plausible(rules_before, rules)) {
    failure_ = fmt::format("a reading of the rules has {} instead of {}", rules, rules_before);
  } else {
    return true;
  }
  guard_.trip(failure_);
  return false;
}

std::shared_ptr<const Domains> DomainSets::with_rules(std::shared_ptr<const Domains> domains) {
  const Rules& rules = *domains->rules;
  const bool keeps = !rules.fault.empty() && domains_ && domains_->rules->fault.empty();
  const std::string& trouble = rules.fault.empty() ? rules.left_out : rules.fault;
  if (trouble != rules_trouble_ && !rules.fault.empty()) {
    log::error("rules-unreadable: {}{}", trouble, keeps ? "; those that were known before serve on" : "");
  } else if (trouble != rules_trouble_ && !trouble.empty()) {
    log::warning("rules-left-out: in the table virtual_rules {}; such rules count for nothing", trouble);
  }
  rules_trouble_ = trouble;
  if (!keeps) return domains;
  auto changed = std::make_shared<Domains>(*domains);
  changed->rules = domains_->rules;
  return changed;
}

bool DomainSets::take(std::shared_ptr<const Domains> domains, Instant began) {
  domains = with_rules(std::move(domains));
  if (!plausible(*domains)) return false;
  guard_.accepted();
  const int before = domains_ ? domains_->schema_version : domains->schema_version;
  if (!domains_)
    log::info("domains-loaded count={} rules={} schema={}", domains->size(), domains->rules->size(),
              domains->schema_version);
  domains_ = std::move(domains);
  read_at_ = began;
  if (domains_->schema_version != before) {
    log::info("schema-changed from={} to={}: all that is cached is read again", before, domains_->schema_version);
    schema_changed_();
  }
  return true;
}

void DomainSets::wait(Instant deadline, Instant since, Resume resume) {
  assert(loop_.on_loop());
  if (waiting_.size() >= kMaxWaiting) {
    loop_.post([resume = std::move(resume)]() mutable {
      const std::string failure = "too many questions wait for the domains";
      resume(&failure);
    });
    return;
  }
  const auto place = waiting_.emplace(deadline, Waiter{since, std::move(resume)});
  if (place == waiting_.begin()) arm();
  // Before the first sets the tries have their own rhythm.
  if (domains_) load();
}

void DomainSets::arm() {
  if (waiting_.empty()) {
    next_deadline_.cancel();
    return;
  }
  next_deadline_.start(std::max(Duration::zero(), waiting_.begin()->first - clock_.now()), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    std::string failure = "the domains could not be read in time";
    if (!self->failure_.empty()) failure += "; the last failure was: " + self->failure_;
    self->resume(&failure, [now = self->clock_.now()](Instant deadline, const Waiter&) { return deadline <= now; });
  });
}

void DomainSets::resume(const std::string* failure, Choice choice) {
  // Who is resumed may wait again: the table is in order before the first is called.
  std::vector<Resume> chosen;
  for (auto waiter = waiting_.begin(); waiter != waiting_.end();) {
    if (choice(waiter->first, waiter->second)) {
      chosen.push_back(std::move(waiter->second.resume));
      waiter = waiting_.erase(waiter);
    } else {
      ++waiter;
    }
  }
  arm();
  const std::string reason = failure == nullptr ? "" : *failure;  // failure_ may change under the calls
  for (auto& call : chosen) call(failure == nullptr ? nullptr : &reason);
}

void DomainSets::stop(const std::string& failure) {
  stopped_ = true;
  next_reading_.cancel();
  resume(&failure, [](Instant, const Waiter&) { return true; });
}

}  // namespace vmail::directory
