#include "postfix-maps/directory_maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "shared/base/text.h"
#include "shared/config/config.h"
#include "shared/directory/map_query.h"

namespace vmail::maps {

using directory::Directory;
using directory::DomainKind;
using directory::Later;
using directory::Mailbox;
using directory::RuleKind;
using socketmap::Reply;

namespace {

// trivial-rewrite(8) asks the maps for the relay of the null sender first in the external form of that address.
constexpr std::string_view kNullSender = "<>";
constexpr std::string_view kQuotedNullSender = "\"<>\"";

// The maps of rules, and what else is here: a map of the administrator's has another name.
constexpr struct {
  const char* name;
  RuleKind kind;
} kRuleMaps[] = {
    {"transports", RuleKind::Transport},
    {"sender-bcc", RuleKind::SenderBcc},
    {"recipient-bcc", RuleKind::RecipientBcc},
    {"sender-relay", RuleKind::SenderRelay},
    {"sender-canonical", RuleKind::SenderCanonical},
    {"recipient-canonical", RuleKind::RecipientCanonical},
    {"recipient-access", RuleKind::RecipientAccess},
};
constexpr const char* kOtherMaps[] = {"domains", "mailboxes", "aliases", "relay-domains", "sender-logins"};

template <class T>
using Spell = Reply (*)(const Outcome<T>&);

// A map that asks one kind of question: `recall` of memory, `ask` where memory does not know.
template <class T, class Recall, class Ask>
Maps::Map map_of(Recall recall, Ask ask, Spell<T> spell) {
  Maps::Map map;
  map.recall = [recall, spell](std::string_view key, Instant now) {
    const Outcome<T>* known = recall(key, now);
    return known ? std::optional<Maps::Answered>({spell(*known), known->source()}) : std::nullopt;
  };
  map.ask = [ask, spell](std::string_view key, Maps::Later later) -> std::optional<Maps::Answered> {
    const auto now = ask(key, [spell, later = std::move(later)](const Outcome<T>& outcome) mutable {
      later({spell(outcome), outcome.source()});
    });
    if (!now) return std::nullopt;
    return Maps::Answered{spell(*now), now->source()};
  };
  return map;
}

Maps::Map domain_map(Directory& directory, Spell<DomainKind> spell) {
  return map_of<DomainKind>(
      [&directory](std::string_view key, Instant now) { return directory.recall_domain(key, now); },
      [&directory](std::string_view key, Later<DomainKind> later) { return directory.domain(key, std::move(later)); },
      spell);
}

Maps::Map rule_map(Directory& directory, RuleKind kind) {
  const auto name = [kind](std::string_view key) {
    return kind == RuleKind::SenderRelay && key == kQuotedNullSender ? kNullSender : key;
  };
  return map_of<AddressList>(
      [&directory, kind, name](std::string_view key, Instant now) {
        return directory.recall_rule(kind, name(key), now);
      },
      [&directory, kind, name](std::string_view key, Later<AddressList> later) {
        return directory.rule(kind, name(key), std::move(later));
      },
      one_value_reply);
}

Reply kind_reply(const Outcome<DomainKind>& outcome, bool relay) {
  return reply_for(outcome, [relay](DomainKind kind) {
    return (kind == DomainKind::Relay) == relay ? Reply::ok("1") : Reply::not_found();
  });
}

}  // namespace

Reply domains_reply(const Outcome<DomainKind>& outcome) {
  return kind_reply(outcome, false);
}

Reply relay_domains_reply(const Outcome<DomainKind>& outcome) {
  return kind_reply(outcome, true);
}

Reply mailboxes_reply(const Outcome<Mailbox>& outcome) {
  return reply_for(outcome, [](const Mailbox&) { return Reply::ok("1"); });
}

Reply list_reply(const Outcome<AddressList>& outcome) {
  return reply_for(outcome, [](const AddressList& values) {
    std::string list;
    list.reserve(values.text().size());
    for (const auto value : values) {
      if (!list.empty()) list += ',';
      list += value;
    }
    return Reply::ok(list);
  });
}

Reply one_value_reply(const Outcome<AddressList>& outcome) {
  return reply_for(outcome, [](const AddressList& values) {
    const std::size_t count = values.size();
    if (count != 1) return Reply::temp(fmt::format("the rule has {} values, and Postfix takes one here", count));
    return Reply::ok(*values.begin());
  });
}

void add_directory_maps(Maps& maps, Directory& directory) {
  maps.add("domains", domain_map(directory, domains_reply));
  maps.add("mailboxes",
           map_of<Mailbox>([&](std::string_view key, Instant now) { return directory.recall_mailbox(key, now); },
                           [&](std::string_view key, Later<Mailbox> later) {
                             return directory.mailbox(key, directory::Freshness::Cached, std::move(later));
                           },
                           mailboxes_reply));
  maps.add("aliases",
           map_of<AddressList>(
               [&](std::string_view key, Instant now) { return directory.recall_aliases(key, now); },
               [&](std::string_view key, Later<AddressList> later) { return directory.aliases(key, std::move(later)); },
               list_reply));
  maps.add("relay-domains", domain_map(directory, relay_domains_reply));
  // Several questions, each of which memory may answer: there is no one to recall.
  maps.add("sender-logins",
           map_of<AddressList>(
               [](std::string_view, Instant) { return static_cast<Outcome<AddressList>*>(nullptr); },
               [&](std::string_view key, Later<AddressList> later) { return directory.owners(key, std::move(later)); },
               list_reply));
  for (const auto& map : kRuleMaps) maps.add(map.name, rule_map(directory, map.kind));
}

void add_query_maps(Maps& maps, directory::QueryMaps& queries) {
  for (std::size_t i = 0; i < queries.names().size(); ++i) {
    const std::string& name = queries.names()[i];
    maps.add(name, map_of<AddressList>(
                       [&queries, i](std::string_view key, Instant now) { return queries.recall(i, key, now); },
                       [&queries, i](std::string_view key, Later<AddressList> later) {
                         return queries.ask(i, key, std::move(later));
                       },
                       list_reply));
  }
}

void check_query_maps(const config::Settings& settings) {
  for (const auto& map : settings.maps.query) {
    if (map.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") != std::string::npos) {
      throw config::SettingError("maps.query",
                                 "the name \"" + printable(map.name) + "\" may hold a-z, 0-9, '-' and '_' only");
    }
    const auto is_taken = [&](const auto& list, auto name_of) {
      return std::any_of(std::begin(list), std::end(list), [&](const auto& own) { return name_of(own) == map.name; });
    };
    if (is_taken(kRuleMaps, [](const auto& own) { return own.name; }) ||
        is_taken(kOtherMaps, [](const char* own) { return own; })) {
      throw config::SettingError("maps.query",
                                 '"' + map.name + "\" is a map of vmail-mapd itself; choose another name");
    }
    const directory::MapQuery query(map);
  }
}

}  // namespace vmail::maps
