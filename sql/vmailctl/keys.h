// Arguments of the command line as keys, and what must be true of them. Throws Refusal.
#pragma once

#include <string>
#include <vector>

#include "shared/base/address.h"
#include "sql/vmailctl/alias_graph.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/rules.h"

namespace vmail::sql {

// Folded, the domain as A-label. Any row's key may be looked up; only a good one may be made.
std::string domain_key(const std::string& text);
std::string new_domain_key(const std::string& text);
Address address_key(const std::string& text);
Address new_address_key(const std::string& text);
// An address or "@domain".
std::string alias_key(const std::string& text);

// The address as a new row has it: with its domain as that one's row spells it.
std::string spelled(const std::string& key, const Domain& domain);

// The domain, which must be one of ours; what to do otherwise.
Domain require_own_domain(Catalog& catalog, const std::string& name);

// Whether a login that was typed as `typed` is that of `address`: through an alias domain it is the one of the target.
bool is_login(Catalog& catalog, const std::string& typed, const std::string& address);

// Refusal when there is a domain of that name, of whatever kind.
void refuse_existing_domain(Catalog& catalog, const std::string& name);

// The aliases that led somewhere and would lead nowhere after the change. `gone`: the address, or "@domain", that is no
// longer there.
std::vector<Alias> dangling_after(Catalog& catalog, AliasView& after, const std::string& gone,
                                  const std::string& delimiters);
// Refusal that names them and how to remove them, when there are any.
void refuse_dangling(const std::vector<Alias>& dangling, const std::string& what);
// The same of rules that would be about nothing, or lead to nothing.
void refuse_rules(const std::vector<Rule>& rules, const std::string& what);

}  // namespace vmail::sql
