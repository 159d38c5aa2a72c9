// What becomes of the mail of mailboxes that are removed: kept where it is, archived, or deleted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/mail_tree.h"

namespace vmail::sql {

const char* name_of(MailFate fate);  // "keep"
std::optional<MailFate> fate_of(const std::string& name);

class MailRemover {
 public:
  // Decides, before anything is changed: asks about `what` ("the mail of ...") when `fate` is not given and somebody
  // can be asked; throws Refusal when nobody can, or when the archive cannot work.
  MailRemover(const App& app, const std::vector<User>& users, std::optional<MailFate> fate, const std::string& what);

  // For one mailbox that takes no new mail any more. What was done, for programs; throws Refusal when it could not be.
  Json remove(const User& user);
  // For people, about all of them; begins with a blank or is empty.
  std::string summary() const;

 private:
  // Nothing for a row whose address can have no mailbox.
  std::optional<Address> place_of(const User& user) const;

  const App& app_;
  MailTree tree_;
  MailFate fate_ = MailFate::Keep;
  std::size_t done_ = 0;
  std::string last_place_;
};

}  // namespace vmail::sql
