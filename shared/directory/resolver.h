// The ladder: which rows answer a question about an address, in which order. Pure, over a source of rows; the one place
// for it, used by maps, delivery and logins alike.
//
// For u+ext@d: the rungs u+ext@d and u@d; then, when d is an alias domain of D, u+ext@D and u@D; then the catch-alls @d
// and @D. The first rung with something on it decides: a mailbox is never shadowed by a catch-all, not even one that is
// switched off.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/address.h"
#include "shared/base/outcome.h"
#include "shared/directory/directory.h"
#include "shared/directory/domains.h"
#include "shared/directory/rows.h"

namespace vmail::directory {

struct Rules {
  std::string delimiters = "+";  // recipient_delimiter: each of its characters
  bool propagate_extension = true;
};

struct Ladder {
  std::string local;      // as asked for, folded, with its extension
  std::string extension;  // with its delimiter; empty when there is none
  std::string domain;     // key of the domain asked for
  std::string target;     // key of the domain that it is an alias of, or empty
  struct Step {
    std::string key;
    std::string local;      // the key's
    std::string domain;     // the key's
    bool stripped = false;  // without the extension
    bool aliased = false;   // in the target of an alias domain
  };
  std::vector<Step> steps;              // of addresses
  std::vector<std::string> catch_alls;  // keys of catch-alls

  // What to ask for on a miss: everything at once.
  std::vector<std::string> keys() const;
};

// For an address in a domain of ours (`entry` is what Domains says of it; not a relay domain).
Ladder make_ladder(const Address& address, const Domains::Entry& entry, const Rules& rules);
// For a login: the address itself and through the alias domain, nothing is stripped.
Ladder make_login_ladder(const Address& address, const Domains::Entry& entry);

// Nothing: a row that is needed is not known.
template <class T>
using Resolution = std::optional<Outcome<T>>;

Resolution<Mailbox> resolve_mailbox(const Ladder& ladder, RowSource& rows);
Resolution<std::vector<std::string>> resolve_aliases(const Ladder& ladder, const Rules& rules, RowSource& rows);
// `rows` has what exists.
Outcome<Credentials> resolve_credentials(const Ladder& ladder, CredentialRows rows);

}  // namespace vmail::directory
