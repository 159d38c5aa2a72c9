#include "postfix-maps/policy/counters.h"

#include <algorithm>
#include <utility>

namespace vmail::policy {
namespace {

std::string key_of(const UsageCounter& counter) {
  return counter.subject + '\n' + counter.measure + '/' + std::to_string(counter.window);
}

}  // namespace

const Counters::Entry* Counters::find(const UsageCounter& counter) const {
  const auto found = entries_.find(key_of(counter));
  return found == entries_.end() ? nullptr : &found->second;
}

Counters::Entry* Counters::make(const UsageCounter& counter) {
  auto key = key_of(counter);
  const auto found = entries_.find(key);
  if (found != entries_.end()) return &found->second;
  if (entries_.size() >= limit_) return nullptr;
  Entry& entry = entries_[std::move(key)];
  entry.counter = counter;
  return &entry;
}

std::int64_t Counters::used(const UsageCounter& counter, std::int64_t now) const {
  const Entry* entry = find(counter);
  if (entry == nullptr) return 0;
  std::int64_t sum = 0;
  for (auto slot = entry->slots.lower_bound(counter.first_slot(now)); slot != entry->slots.end(); ++slot) {
    sum += slot->second.own + slot->second.others;
  }
  return std::max<std::int64_t>(sum, 0);  // a reset is a negative amount
}

bool Counters::asked(const UsageCounter& counter) const {
  const Entry* entry = find(counter);
  return entry != nullptr && entry->asked;
}

std::int64_t Counters::unwritten(const UsageCounter& counter) const {
  const Entry* entry = find(counter);
  std::int64_t sum = 0;
  if (entry == nullptr) return sum;
  for (const auto& [number, slot] : entry->slots) sum += slot.own - slot.written;
  return sum;
}

bool Counters::add(const UsageCounter& counter, std::int64_t amount, std::int64_t now) {
  Entry* entry = make(counter);
  if (entry == nullptr) return false;
  entry->slots[counter.slot(now)].own += amount;
  return true;
}

std::int64_t Counters::unseen(const UsageCounter& counter, const std::vector<std::uint64_t>& recipients,
                              std::int64_t now) const {
  const Entry* entry = find(counter);
  const std::int64_t first = counter.first_slot(now);
  return std::count_if(recipients.begin(), recipients.end(), [&](std::uint64_t recipient) {
    if (entry == nullptr) return true;
    const auto found = entry->seen.find(recipient);
    return found == entry->seen.end() || found->second < first;
  });
}

void Counters::see(const UsageCounter& counter, const std::vector<std::uint64_t>& recipients, std::int64_t now,
                   std::size_t most) {
  Entry* entry = make(counter);
  if (entry == nullptr) return;
  const std::int64_t first = counter.first_slot(now);
  for (const auto recipient : recipients) {
    const auto found = entry->seen.find(recipient);
    if (found != entry->seen.end() && found->second >= first) continue;
    if (found != entry->seen.end()) {
      found->second = counter.slot(now);
    } else if (entry->seen.size() < most) {
      entry->seen.emplace(recipient, counter.slot(now));
    }
  }
}

directory::UsageQuestion::Counter Counters::question(const UsageCounter& counter, std::int64_t now) const {
  directory::UsageQuestion::Counter question{counter, {}, counter.first_slot(now)};
  if (const Entry* entry = find(counter)) {
    for (const auto& [number, slot] : entry->slots) {
      if (slot.own != slot.written) question.totals.emplace_back(number, slot.own);
    }
  }
  return question;
}

bool Counters::has_unwritten(const Entry& entry) {
  return std::any_of(entry.slots.begin(), entry.slots.end(),
                     [](const auto& slot) { return slot.second.own != slot.second.written; });
}

directory::UsageQuestion Counters::unwritten_question(std::size_t most, std::int64_t now) const {
  directory::UsageQuestion all;
  for (const auto& [key, entry] : entries_) {
    if (all.counters.size() == most) break;
    if (has_unwritten(entry)) all.counters.push_back(question(entry.counter, now));
  }
  return all;
}

void Counters::exchanged(const directory::UsageQuestion& question, const directory::UsageAnswer& answer) {
  for (std::size_t i = 0; i < question.counters.size() && i < answer.size(); ++i) {
    Entry* entry = make(question.counters[i].counter);
    if (entry == nullptr) continue;
    entry->asked = true;
    for (const auto& [number, amount] : question.counters[i].totals) {
      // An exchange that began earlier may end later.
      Slot& slot = entry->slots[number];
      slot.written = std::max(slot.written, amount);
    }
    for (auto& [number, slot] : entry->slots) {
      if (number >= question.counters[i].from) slot.others = 0;
    }
    for (const auto& [number, sum] : answer[i]) entry->slots[number].others = sum;
  }
}

void Counters::sweep(std::int64_t now) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = at->second;
    const std::int64_t first = entry.counter.first_slot(now);
    entry.slots.erase(entry.slots.begin(), entry.slots.lower_bound(first));
    std::erase_if(entry.seen, [&](const auto& seen) { return seen.second < first; });
    at = entry.slots.empty() && entry.seen.empty() ? entries_.erase(at) : std::next(at);
  }
}

}  // namespace vmail::policy
