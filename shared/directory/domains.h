// The sets of own, relay and alias domains, and the rules, whole in memory: an immutable value, made on a worker.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shared/base/seeded_hash.h"
#include "shared/directory/directory.h"
#include "shared/directory/rules.h"

namespace vmail::directory {

class Domains {
 public:
  struct Entry {
    DomainKind kind;
    std::string target;  // of an alias domain: the own domain it stands for, as key
  };

  // Domains that are switched off are left out by the caller; names may be in any spelling. A name that is in two sets
  // is an own domain before it is an alias, and an alias before it is a relay.
  void add_own(std::string_view name) { add(name, Entry{DomainKind::Own, ""}); }
  void add_alias(std::string_view name, std::string_view target);
  void add_relay(std::string_view name) { add(name, Entry{DomainKind::Relay, ""}); }
  // After the last add: alias domains whose target is no own domain lead nowhere and are not ours.
  void finish();

  // `key`: folded, A-label. Valid while this lives.
  const Entry* find(std::string_view key) const;
  std::size_t size() const { return entries_.size(); }
  // In no order that means anything.
  template <class Visit>
  void each(Visit visit) const {
    for (const auto& [key, entry] : entries_) visit(key, entry);
  }

  // Which schema they were read from; a change means that other rows are asked with other texts.
  int schema_version = 0;
  // Never nullptr.
  std::shared_ptr<const Rules> rules = std::make_shared<const Rules>();

 private:
  void add(std::string_view name, Entry entry);

  std::unordered_map<std::string, Entry, SeededHash, std::equal_to<>> entries_;
};

}  // namespace vmail::directory
