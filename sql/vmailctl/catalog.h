// The rows that vmailctl shows and changes, as values. Reads work on the original schema too; whoever writes calls
// require_upgraded() first. Keys are folded, with the A-label of a domain (keys.h makes them); rows may spell it as
// U-label too. A row whose key a loose collation merely thinks equal is left out. Throws mysql::Error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/address.h"
#include "shared/mysql/connection.h"
#include "sql/vmailctl/alias_graph.h"

namespace vmail::sql {

enum class DomainKind { Own, Alias, Relay };

struct Domain {
  DomainKind kind = DomainKind::Own;
  std::string id;      // of an own one
  std::string name;    // as it is written in its row
  std::string target;  // of an alias domain
  bool enabled = true;
  std::uint64_t users = 0;  // of an own one
  std::uint64_t aliases = 0;
};

struct User {
  std::string id;
  std::string address;
  std::string domain_id;
  std::string domain;  // the name of domain_id
  bool enabled = true;
};

struct Alias {
  std::string id;
  std::string source;
  std::string destination;
  bool enabled = true;
};

// All of a database's rows about addresses, behind statements. Implements what the alias graph asks.
class Catalog : public AliasView {
 public:
  // The connection must outlive it. Looks which schema it is.
  explicit Catalog(mysql::Connection& connection);

  // Refusal that says to run `vmailctl schema upgrade`, when a column that is to be written may not be there.
  void require_upgraded() const;
  bool upgraded() const { return upgraded_; }

  std::vector<Domain> domains();
  std::optional<Domain> domain(const std::string& name);
  std::vector<Domain> alias_domains_of(const std::string& target);

  std::vector<User> users(const std::string& domain_id);  // all when empty
  std::optional<User> user(const std::string& address);

  std::vector<Alias> aliases(const std::string& domain_id);  // all when empty
  std::vector<Alias> aliases_at(const std::string& source);
  // That lead to this very address, or with "@domain" to any in it.
  std::vector<Alias> aliases_to(const std::string& destination);

  // AliasView
  std::vector<std::string> destinations(const std::string& source) override;
  bool mailbox(const std::string& address) override;
  std::optional<std::string> alias_target(const std::string& domain) override;
  bool own_domain(const std::string& domain) override;

 private:
  std::vector<Domain> read_domains(const std::string& condition, std::vector<mysql::Value> parameters);
  std::vector<User> read_users(const std::string& condition, std::vector<mysql::Value> parameters);
  std::vector<Alias> read_aliases(const std::string& condition, std::vector<mysql::Value> parameters);

  mysql::Connection& connection_;
  bool upgraded_ = false;
};

}  // namespace vmail::sql
