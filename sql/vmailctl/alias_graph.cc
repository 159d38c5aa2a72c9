#include "sql/vmailctl/alias_graph.h"

#include <algorithm>

#include "shared/base/address.h"
#include "shared/base/text.h"

namespace vmail::sql {
namespace {

// Stands for every local part that has no row of its own; no address that parses holds it.
constexpr std::string_view kAnybody = "\x01";

std::string domain_of(const std::string& address) {
  const auto at = address.rfind('@');
  return at == std::string::npos ? "" : address.substr(at + 1);
}

std::string local_of(const std::string& address) {
  return address.substr(0, address.rfind('@'));
}

class Tracer {
 public:
  Tracer(AliasView& view, std::string_view delimiters) : view_(view), delimiters_(delimiters) {}

  Trace run(const std::string& address) {
    follow(address.front() == '@' ? std::string(kAnybody) + address : address);
    return std::move(trace_);
  }

 private:
  // The ladder of shared/directory, by the same rungs.
  void follow(const std::string& address) {
    if (!trace_.loop.empty()) return;
    if (const auto seen = std::find(way_.begin(), way_.end(), address); seen != way_.end()) {
      for (auto i = seen; i != way_.end(); ++i) trace_.loop.push_back(shown(*i));
      trace_.loop.push_back(shown(address));
      return;
    }
    if (!known_.insert(address).second) return;
    if (known_.size() > kMostAddresses || way_.size() > kMostAddresses) {
      trace_.too_many = true;
      return;
    }
    way_.push_back(address);
    step(address);
    way_.pop_back();
  }

  void step(const std::string& address) {
    const std::string domain = domain_of(address);
    const std::string local = local_of(address);
    const LocalPart parts = split_extension(local, delimiters_);
    std::vector<std::string> domains = {domain};
    if (const auto target = view_.alias_target(domain)) domains.push_back(*target);

    for (const auto& d : domains) {
      if (exact(local + '@' + d, "")) return;
      if (!parts.extension.empty() && exact(std::string(parts.user) + '@' + d, parts.extension)) return;
    }
    for (const auto& d : domains) {
      const auto rows = view_.destinations('@' + d);
      if (rows.empty()) continue;
      for (const auto& row : rows) go(address, row.front() == '@' ? local + row : row);
      return;
    }
    if (domains.size() > 1 || view_.own_domain(domain)) {
      dead_end(address);
    } else {
      end(address);
    }
  }

  // The rows or the mailbox at one rung; false when there is neither.
  bool exact(const std::string& rung, std::string_view extension) {
    const auto rows = view_.destinations(rung);
    if (rows.empty()) {
      if (!view_.mailbox(rung)) return false;
      end(rung);
      return true;
    }
    for (const auto& row : rows) {
      const auto at = row.rfind('@');
      const bool put_back = !extension.empty() && at != std::string::npos;
      // A row that names its own source means the mailbox there, and nothing further (Postfix stops at it too).
      if (row == rung) {
        view_.mailbox(rung) ? end(rung) : dead_end(rung);
      } else {
        follow(put_back ? row.substr(0, at) + std::string(extension) + row.substr(at) : row);
      }
    }
    return true;
  }

  // A catch-all that leads to itself leads to nobody: had there been a row or a mailbox, it would not have been asked.
  void go(const std::string& from, const std::string& to) {
    if (to == from) {
      dead_end(to);
    } else {
      follow(to);
    }
  }

  static bool is_anybody(const std::string& address) { return address.substr(0, kAnybody.size()) == kAnybody; }
  static std::string shown(const std::string& address) {
    return is_anybody(address) ? address.substr(kAnybody.size()) : address;
  }
  static void add(std::vector<std::string>& list, const std::string& address) {
    if (std::find(list.begin(), list.end(), address) == list.end()) list.push_back(address);
  }
  void end(const std::string& address) { add(trace_.ends, shown(address)); }
  void dead_end(const std::string& address) {
    // "@a to @b" is good for whoever has a mailbox in b; the others are unknown there, as they were before.
    if (is_anybody(address)) {
      add(trace_.ends, shown(address));
    } else {
      add(trace_.dead_ends, address);
    }
  }

  AliasView& view_;
  const std::string_view delimiters_;
  Trace trace_;
  std::vector<std::string> way_;
  std::set<std::string> known_;
};

}  // namespace

std::vector<std::string> ChangedView::destinations(const std::string& source) {
  const auto changed = destinations_.find(source);
  return changed == destinations_.end() ? base_.destinations(source) : changed->second;
}

bool ChangedView::mailbox(const std::string& address) {
  return removed_.count(address) == 0 && base_.mailbox(address);
}

Trace trace(AliasView& view, const std::string& address, std::string_view delimiters) {
  return Tracer(view, delimiters).run(address);
}

}  // namespace vmail::sql
