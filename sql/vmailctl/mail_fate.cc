#include "sql/vmailctl/mail_fate.h"

#include <fmt/format.h>

#include "sql/vmailctl/prompt.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {

const char* name_of(MailFate fate) {
  return fate == MailFate::Keep ? "keep" : fate == MailFate::Archive ? "archive" : "purge";
}

std::optional<MailFate> fate_of(const std::string& name) {
  for (const MailFate fate : {MailFate::Keep, MailFate::Archive, MailFate::Purge}) {
    if (name == name_of(fate)) return fate;
  }
  return std::nullopt;
}

MailRemover::MailRemover(const App& app, const std::vector<User>& users, std::optional<MailFate> fate,
                         const std::string& what)
    : app_(app), tree_(app.settings) {
  if (users.empty()) return;
  if (!fate && !can_ask()) {
    throw Refusal(
        fmt::format("say what becomes of {}", what),
        "--mail keep leaves it where it is, --mail archive moves it to admin.archive, --mail purge deletes it.");
  }
  fate_ = fate ? *fate
               : *fate_of(ask(fmt::format("What becomes of {}: keep, archive or purge? ", what),
                              {"keep", "archive", "purge"}));
  if (fate_ == MailFate::Keep) return;
  for (const auto& user : users) {
    if (const auto address = place_of(user)) tree_.exists(*address);  // it can be looked at
  }
  if (fate_ == MailFate::Archive) tree_.prepare_archive();
}

std::optional<Address> MailRemover::place_of(const User& user) const {
  auto address = parse_address(user.address);
  return address && tree_.has_place(*address) ? std::move(address) : std::nullopt;
}

Json MailRemover::remove(const User& user) {
  Json result = {{"address", user.address}, {"mail", "none"}};
  const auto address = place_of(user);
  if (!address || (fate_ != MailFate::Keep && !tree_.exists(*address))) return result;
  try {
    if (fate_ == MailFate::Keep) {
      last_place_ = tree_.path(*address);
    } else if (fate_ == MailFate::Archive) {
      last_place_ = tree_.archive(*address);
    } else {
      tree_.purge(*address);
    }
  } catch (const Refusal& refusal) {
    throw Refusal(fmt::format("the mail of {} is not removed: {}", user.address, refusal.what()),
                  refusal.hint() + (refusal.hint().empty() ? "" : " ") + "The same command again goes on from here.");
  }
  result["mail"] = name_of(fate_);
  if (fate_ != MailFate::Purge) result["path"] = last_place_;
  ++done_;
  return result;
}

std::string MailRemover::summary() const {
  if (done_ == 0) return fate_ == MailFate::Keep ? "" : " There was no mail.";
  if (fate_ == MailFate::Purge) return " The mail is deleted.";
  const std::string what = fate_ == MailFate::Archive ? "archived as" : "kept in";
  if (done_ == 1) return fmt::format(" The mail is {} {}.", what, last_place_);
  return fmt::format(" The mail of {} users is {} {}.", done_,
                     fate_ == MailFate::Archive ? "archived in" : "kept below",
                     fate_ == MailFate::Archive ? app_.settings.admin.archive : app_.settings.mailboxes.base);
}

}  // namespace vmail::sql
