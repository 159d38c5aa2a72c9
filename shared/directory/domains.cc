#include "shared/directory/domains.h"

#include "shared/base/text.h"
#include "shared/directory/idn.h"

namespace vmail::directory {
namespace {

int rank(DomainKind kind) {
  return kind == DomainKind::Own ? 2 : kind == DomainKind::Alias ? 1 : 0;
}

}  // namespace

void Domains::add(std::string_view name, Entry entry) {
  std::string key = a_label(fold_case(name));
  if (key.empty()) return;
  const auto [place, fresh] = entries_.try_emplace(std::move(key), entry);
  if (!fresh && rank(entry.kind) > rank(place->second.kind)) place->second = std::move(entry);
}

void Domains::add_alias(std::string_view name, std::string_view target) {
  add(name, Entry{DomainKind::Alias, a_label(fold_case(target))});
}

void Domains::finish() {
  std::erase_if(entries_, [this](const auto& item) {
    if (item.second.kind != DomainKind::Alias) return false;
    const Entry* target = find(item.second.target);
    return target == nullptr || target->kind != DomainKind::Own;
  });
}

const Domains::Entry* Domains::find(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

}  // namespace vmail::directory
