#include "sql/vmailctl/rule_objects.h"

#include "shared/base/text.h"

namespace vmail::sql {

using directory::RuleKind;

const std::vector<RuleObject>& rule_objects() {
  static const std::vector<RuleObject> objects = {
      {"transport",
       "Where mail is sent on to",
       {{"", RuleKind::Transport}},
       "An address, DOMAIN, .DOMAIN (below it), *",
       "TRANSPORT",
       "transport:nexthop, such as 'smtp:[relay.example]:25'"},
      {"send-as",
       "Further addresses that a user may send as",
       {{"", RuleKind::SendAs}},
       "The login",
       "ADDRESS",
       "An address, @DOMAIN or *"},
      {"bcc",
       "Copies of all mail of a sender or for a recipient",
       {{"sender", RuleKind::SenderBcc}, {"recipient", RuleKind::RecipientBcc}},
       "An address or @DOMAIN",
       "ADDRESS",
       "Who gets the copies"},
      {"relay",
       "The relay for mail of a sender",
       {{"", RuleKind::SenderRelay}},
       "An address, @DOMAIN or <>",
       "HOST",
       "Such as '[relay.example]:587'"},
      {"canonical",
       "Addresses that are rewritten",
       {{"sender", RuleKind::SenderCanonical}, {"recipient", RuleKind::RecipientCanonical}},
       "An address or @DOMAIN",
       "ADDRESS",
       "What it becomes; @DOMAIN for that of a domain"},
      {"access",
       "What happens to mail for a recipient",
       {{"", RuleKind::RecipientAccess}},
       "An address, DOMAIN or .DOMAIN (below it)",
       "ACTION",
       "As in access(5), such as 'REJECT no longer here'"},
      {"protect",
       "Who may write to an alias",
       {{"", RuleKind::Protect}},
       "The alias",
       "WHO",
       "members, domain, an address or @DOMAIN"},
      {"external",
       "Who has no mail from (in) or to (out) other domains",
       {{"in", RuleKind::ExternalIn}, {"out", RuleKind::ExternalOut}},
       "An address or DOMAIN",
       "",
       "",
       "no"},
      {"quota",
       "How much a mailbox may hold",
       {{"", RuleKind::Quota}},
       "An address or @DOMAIN",
       "QUOTA",
       "Bytes, or with K, M, G or T, and a number of messages: 5G, '5G 10000 messages'; 0: no quota"},
      {"spam",
       "Where mail goes that the site's filter calls spam",
       {{"", RuleKind::Spam}},
       "An address or @DOMAIN",
       "WHERE",
       "junk or inbox"},
      {"sieve",
       "Whether mail is handed to Dovecot, which runs the Sieve script",
       {{"", RuleKind::Sieve}},
       "An address or @DOMAIN",
       "YES-OR-NO",
       "yes or no; without a rule: when there is a script"},
      {"archive",
       "Where a copy of all mail for a mailbox is filed",
       {{"", RuleKind::Archive}},
       "An address or @DOMAIN",
       "MAILBOX",
       "The address of the mailbox that gets it"},
      {"message-size",
       "How large a message for a mailbox may be",
       {{"", RuleKind::MessageSize}},
       "An address or @DOMAIN",
       "SIZE",
       "Bytes, or with K, M, G or T; 0: as large as store.message_size_limit"},
  };
  return objects;
}

namespace {

struct Place {
  std::string object;
  std::string direction;
};
Place place_of(RuleKind kind) {
  for (const auto& object : rule_objects()) {
    for (const auto& [word, each] : object.kinds) {
      if (each == kind) return {object.name, word};
    }
  }
  return {kind == RuleKind::State ? "user state" : "limits", ""};
}

// For a shell.
std::string quoted(const std::string& word) {
  if (word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.:/+=_-") ==
      std::string::npos) {
    return word;
  }
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string(R"('\'')") : std::string(1, c);
  return text + '\'';
}

}  // namespace

std::string object_of(RuleKind kind) {
  return place_of(kind).object;
}

std::string command_line(RuleKind kind, const char* verb, const std::string& name, const std::string& value) {
  if (kind == RuleKind::State) return "vmailctl user state " + quoted(printable(name)) + " on";
  const Place place = place_of(kind);
  std::string line = "vmailctl " + place.object + ' ' + verb;
  for (const std::string& word : {place.direction, printable(name), printable(value)}) {
    if (word.empty()) continue;
    line += ' ' + quoted(word);
  }
  return line;
}

}  // namespace vmail::sql
