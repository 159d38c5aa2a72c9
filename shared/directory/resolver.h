// The ladder: which rows answer a question about an address, in which order. Pure, over a source of rows; the one place
// for it, used by maps, delivery and logins alike.
//
// For u+ext@d: the rungs u+ext@d and u@d; then, when d is an alias domain of D, u+ext@D and u@D; then the catch-alls @d
// and @D. The first rung with something on it decides: a mailbox is never shadowed by a catch-all, not even one that is
// switched off.
//
// What is returned is written into objects that are used again and again: an answer from memory allocates nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/base/address.h"
#include "shared/base/address_list.h"
#include "shared/base/outcome.h"
#include "shared/directory/directory.h"
#include "shared/directory/domains.h"
#include "shared/directory/rows.h"
#include "shared/directory/rules.h"

namespace vmail::directory {

// What happens to address extensions.
struct Extensions {
  std::string delimiters = "+";  // recipient_delimiter: each of its characters
  bool propagate_extension = true;
};

struct Ladder {
  std::string local;     // as asked for, folded, with its extension
  std::size_t user = 0;  // length of what stands before the extension
  std::string domain;    // key of the domain asked for
  std::string target;    // key of the domain that it is an alias of, or empty

  struct Step {
    bool stripped = false;  // without the extension
    bool aliased = false;   // in the target of an alias domain
  };
  std::string_view extension() const { return std::string_view(local).substr(user); }  // with its delimiter, or empty

  // Steps of addresses, from the first on.
  std::size_t steps() const { return (user < local.size() ? 2U : 1U) * domains(); }
  Step step(std::size_t index) const;
  std::string_view local_of(Step step) const {
    return std::string_view(local).substr(0, step.stripped ? user : local.size());
  }
  std::string_view domain_of(Step step) const { return step.aliased ? target : domain; }
  // Valid until the next call of it or of catch_all().
  std::string_view key(Step step) const;
  // One catch-all for each domain.
  std::size_t domains() const { return target.empty() ? 1 : 2; }
  std::string_view catch_all(std::size_t index) const;

  // What to ask for on a miss: everything at once.
  std::vector<std::string> keys() const;
  // The same for a login, which no catch-all answers.
  std::vector<std::string> step_keys() const;

 private:
  mutable std::string key_;
};

// For an address: `domain` is the key of its domain and `entry` what Domains says of that.
void make_ladder(const Address& address, std::string_view domain, const Domains::Entry& entry,
                 const Extensions& extensions, Ladder& into);
// For a login: the address itself and through the alias domain, nothing is stripped.
void make_login_ladder(const Address& address, std::string_view domain, const Domains::Entry& entry, Ladder& into);

// Where a resolver takes its rows from.
template <class Row>
class Rows {
 public:
  virtual ~Rows() = default;
  // Nothing when it is not known whether there is one; an empty row when there is none. Valid until the next call of
  // anything on the source.
  virtual const Row* find(std::string_view key) = 0;
};
using RowSource = Rows<AddressRow>;
using CredentialSource = Rows<CredentialRow>;

// What has just been read, and for what was not asked for the others.
template <class Row>
class ReadRows final : public Rows<Row> {
 public:
  using Read = std::unordered_map<std::string, Row>;
  ReadRows(const Read& rows, Rows<Row>& others) : rows_(rows), others_(others) {}
  const Row* find(std::string_view key) override {
    const auto found = rows_.find(std::string(key));
    return found == rows_.end() ? others_.find(key) : &found->second;
  }

 private:
  const Read& rows_;
  Rows<Row>& others_;
};

// False: a row that is needed is not known, and `into` means nothing. The state of a mailbox (a rule) is applied here,
// so that maps, policy, logins and delivery have it alike: without login its credentials are Disabled, without mail the
// mailbox is; what is on hold is found. It stops the ladder all the same.
bool resolve_mailbox(const Ladder& ladder, const Extensions& extensions, const Rules& rules, RowSource& rows,
                     Outcome<Mailbox>& into);
bool resolve_aliases(const Ladder& ladder, const Extensions& extensions, const Rules& rules, RowSource& rows,
                     Outcome<AddressList>& into);
bool resolve_credentials(const Ladder& ladder, const Extensions& extensions, const Rules& rules, CredentialSource& rows,
                         Outcome<Credentials>& into);
// Rules are all known. `ladder` may be of a domain that is not ours.
void resolve_rule(const Ladder& ladder, const Extensions& extensions, const Rules& rules, RuleKind kind,
                  Outcome<AddressList>& into);

}  // namespace vmail::directory
