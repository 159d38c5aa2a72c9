#include "shared/directory/expansion.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/directory/idn.h"

namespace vmail::directory {
namespace {

// That many addresses are remembered as logged; then it begins anew.
constexpr std::size_t kMaxLogged = 1000;

}  // namespace

// One expansion. What it waits for holds it.
class Expander::Run : public std::enable_shared_from_this<Run> {
 public:
  Run(std::shared_ptr<Expander> expander, Freshness freshness, Way way)
      : expander_(std::move(expander)),
        freshness_(freshness),
        way_(way),
        deadline_(expander_->clock_.now() + expander_->deadline_),
        visited_(0, expander_->hash_),
        mailboxes_(0, expander_->hash_) {}

  Answer<Expansion> start(std::string_view address, Later<Expansion> later) {
    visit(std::string(address));
    go();
    if (done_) return std::move(*done_);
    later_ = std::move(later);
    return std::nullopt;
  }

 private:
  enum class Step : unsigned char {
    Next,     // the next destination of what is last on the path
    Domain,   // is the address at hand one of ours?
    Aliases,  // where does it lead?
    Mailbox,  // is there a mailbox?
    Own,      // the mailbox of an address that leads to others as well
  };
  struct Node {
    std::string address;
    std::string key;
    AddressList destinations;
    AddressList::Iterator next;
    bool keeps = false;  // it is one of its own destinations
  };

  // Until something has to be waited for, or all is done.
  void go() {
    while (!done_ && step()) {
    }
  }

  bool step() {
    Directory& directory = expander_->directory_;
    switch (step_) {
      case Step::Next:
        next();
        return true;
      case Step::Domain:
        return take<&Run::take_domain>(directory.domain(domain_, later<DomainKind, &Run::take_domain>()));
      case Step::Aliases:
        return take<&Run::take_aliases>(directory.aliases(address_, later<AddressList, &Run::take_aliases>()));
      case Step::Mailbox:
        return take<&Run::take_end>(directory.mailbox(address_, freshness_, later<Mailbox, &Run::take_end>()));
      case Step::Own:
        break;
    }
    return take<&Run::take_own>(directory.mailbox(address_, freshness_, later<Mailbox, &Run::take_own>()));
  }

  template <auto Take, class T>
  bool take(Answer<T> answer) {
    if (!answer) return false;
    if (note(*answer)) (this->*Take)(*answer);
    return true;
  }

  template <class T, auto Take>
  Later<T> later() {
    return [self = shared_from_this()](const Outcome<T>& outcome) {
      if (self->note(outcome)) (self.get()->*Take)(outcome);
      if (!self->done_ && self->expander_->clock_.now() >= self->deadline_) {
        self->finish(Outcome<Expansion>::temp_fail("the aliases could not all be followed in time"));
      }
      self->go();
      if (self->done_) std::exchange(self->later_, nullptr)(std::move(*self->done_));
    };
  }

  // False for a failure, with which all has failed.
  template <class T>
  bool note(const Outcome<T>& outcome) {
    if (outcome.is_temp_fail()) finish(Outcome<Expansion>::without_value(outcome));
    source_ = worse(source_, outcome.source());
    return !outcome.is_temp_fail();
  }
  static Source worse(Source a, Source b) {
    if (a == Source::Stale || b == Source::Stale) return Source::Stale;
    return a == Source::Database || b == Source::Database ? Source::Database : Source::Memory;
  }

  void visit(std::string address) {
    step_ = Step::Next;
    const auto parsed = parse_address(address);
    key_ = parsed ? parsed->local + '@' + a_label(parsed->domain) : address;
    if (!path_.empty() && path_.back().key == key_) {
      path_.back().keeps = true;
      return;
    }
    const auto seen = visited_.find(key_);
    if (seen != visited_.end()) {
      if (seen->second) found_loop();
      return;
    }
    if (visited_.size() >= kMaxExpansion) {
      ends_.too_many = true;
      return finish();
    }
    visited_.emplace(key_, false);
    if (!parsed) {
      ends_.elsewhere.push_back(std::move(address));
      return;
    }
    address_ = std::move(address);
    domain_ = parsed->domain;
    step_ = Step::Domain;
  }

  void take_domain(const Outcome<DomainKind>& kind) {
    if (kind.is_found() && kind.value() != DomainKind::Relay) {
      step_ = Step::Aliases;
    } else {
      ends_.elsewhere.push_back(std::move(address_));
      step_ = Step::Next;
    }
  }

  void take_aliases(const Outcome<AddressList>& destinations) {
    if (destinations.is_found()) {
      visited_[key_] = true;
      Node& node = path_.emplace_back(Node{address_, key_, destinations.value(), {}, false});
      node.next = node.destinations.begin();
      step_ = way_ == Way::OfOwners ? Step::Own : Step::Next;
    } else if (destinations.status() == Status::NotFound) {
      step_ = Step::Mailbox;
    } else {
      dead_end();
    }
  }

  void take_end(const Outcome<Mailbox>& mailbox) {
    if (mailbox.is_found()) {
      add(mailbox.value());
    } else {
      dead_end();
    }
  }

  void take_own(const Outcome<Mailbox>& mailbox) {
    if (mailbox.is_found()) add(mailbox.value());
    step_ = Step::Next;
  }

  void next() {
    if (path_.empty()) return finish();
    Node& node = path_.back();
    if (node.next != node.destinations.end()) return visit(std::string(*node.next++));
    address_ = std::move(node.address);
    key_ = std::move(node.key);
    visited_[key_] = false;
    const bool keeps = node.keeps;
    path_.pop_back();
    step_ = keeps ? Step::Mailbox : Step::Next;
  }

  void add(const Mailbox& mailbox) {
    step_ = Step::Next;
    if (mailboxes_.insert(mailbox.address()).second) ends_.mailboxes.push_back(mailbox);
  }

  void dead_end() {
    step_ = Step::Next;
    if (!path_.empty()) expander_->log_dead_end(path_.back().address, key_);
    ends_.dead_ends.push_back(std::move(address_));
  }

  void found_loop() {
    if (!ends_.loop.empty()) return;
    const auto first = std::find_if(path_.begin(), path_.end(), [this](const Node& node) { return node.key == key_; });
    for (auto node = first; node != path_.end(); ++node) ends_.loop.push_back(node->key);
    ends_.loop.push_back(key_);
    expander_->log_loop(ends_.loop);
  }

  void finish() { finish(Outcome<Expansion>::found(std::move(ends_))); }
  void finish(Outcome<Expansion> outcome) {
    done_ = std::move(outcome);
    done_->set_source(source_);
  }

  const std::shared_ptr<Expander> expander_;
  const Freshness freshness_;
  const Way way_;
  const Instant deadline_;
  Later<Expansion> later_;

  Step step_ = Step::Next;
  std::string address_;  // at hand
  std::string domain_;
  std::string key_;
  std::deque<Node> path_;
  std::unordered_map<std::string, bool, SeededHash> visited_;  // and whether it is on the path
  std::unordered_set<std::string, SeededHash> mailboxes_;
  Expansion ends_;
  Source source_ = Source::Memory;
  std::optional<Outcome<Expansion>> done_;
};

Answer<Expansion> Expander::expand(std::string_view address, Freshness freshness, Way way, Later<Expansion> later) {
  return std::make_shared<Run>(shared_from_this(), freshness, way)->start(address, std::move(later));
}

bool Expander::Logged::is_news(const std::string& key) {
  if (keys.count(key) > 0) return false;
  std::size_t suppressed = 0;
  if (!throttle.allow(suppressed)) return false;
  if (keys.size() >= kMaxLogged) keys.clear();
  keys.insert(key);
  return true;
}

void Expander::log_dead_end(const std::string& alias, const std::string& key) {
  if (!dead_ends_.is_news(key)) return;
  log::warning("alias-dead-end: {} leads to {}, which does not exist or is disabled; mail to it comes back",
               printable(alias), printable(key));
}

void Expander::log_loop(const std::vector<std::string>& way) {
  if (!loops_.is_news(way.front())) return;
  std::string text;
  for (const auto& key : way) text.append(text.empty() ? "" : " to ").append(key);
  log::warning("alias-loop: aliases lead from {}; Postfix cannot deliver what goes there until one of them is removed",
               printable(text, 1000));
}

}  // namespace vmail::directory
