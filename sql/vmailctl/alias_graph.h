// Where an address leads in the end, through aliases, alias domains and catch-alls: what is asked before a row is added
// or taken away. Switched-off rows count as if they were on, so that switching one on never makes a loop. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vmail::sql {

// The rows, by folded keys.
class AliasView {
 public:
  virtual ~AliasView() = default;
  // Of the rows with exactly this source ("u@d" or "@d").
  virtual std::vector<std::string> destinations(const std::string& source) = 0;
  virtual bool mailbox(const std::string& address) = 0;
  virtual std::optional<std::string> alias_target(const std::string& domain) = 0;
  virtual bool own_domain(const std::string& domain) = 0;
};

// The rows as they would be after a change.
class ChangedView : public AliasView {
 public:
  explicit ChangedView(AliasView& base) : base_(base) {}
  void set_destinations(const std::string& source, std::vector<std::string> destinations) {
    destinations_[source] = std::move(destinations);
  }
  void remove_mailbox(const std::string& address) { removed_.insert(address); }

  std::vector<std::string> destinations(const std::string& source) override;
  bool mailbox(const std::string& address) override;
  std::optional<std::string> alias_target(const std::string& domain) override { return base_.alias_target(domain); }
  bool own_domain(const std::string& domain) override { return base_.own_domain(domain); }

 private:
  AliasView& base_;
  std::map<std::string, std::vector<std::string>> destinations_;
  std::set<std::string> removed_;
};

struct Trace {
  std::vector<std::string> ends;       // mailboxes of ours and addresses elsewhere, each once
  std::vector<std::string> loop;       // the way round, first and last the same; empty: none
  std::vector<std::string> dead_ends;  // addresses in domains of ours that nothing answers for
  bool too_many = false;               // more than Postfix would follow
};

// Postfix's virtual_alias_expansion_limit and virtual_alias_recursion_limit.
inline constexpr std::size_t kMostAddresses = 1000;

// From a folded address, or from "@domain" for whatever is not there otherwise.
Trace trace(AliasView& view, const std::string& address, std::string_view delimiters);

}  // namespace vmail::sql
