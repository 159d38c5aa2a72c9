#include "postfix-maps/maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shared/base/text.h"

namespace vmail::maps {

using directory::DomainKind;
using directory::Mailbox;
using socketmap::Reply;

Reply domains_reply(const Outcome<DomainKind>& outcome) {
  return reply_for(outcome, [](DomainKind kind) {
    return kind == DomainKind::Own || kind == DomainKind::Alias ? Reply::ok("1") : Reply::not_found();
  });
}

Reply mailboxes_reply(const Outcome<Mailbox>& outcome) {
  return reply_for(outcome, [](const Mailbox&) { return Reply::ok("1"); });
}

Reply aliases_reply(const Outcome<AddressList>& outcome) {
  return reply_for(outcome, [](const AddressList& destinations) {
    std::string list;
    list.reserve(destinations.text().size());
    for (const auto destination : destinations) {
      if (!list.empty()) list += ',';
      list += destination;
    }
    return Reply::ok(list);
  });
}

void Maps::add(const std::string& name, Map map) {
  maps_.push_back(std::make_unique<Named>(Named{name, std::move(map)}));
}

void Maps::metrics(metrics::Registry& registry) {
  constexpr std::array<const char*, kSources> kSourceNames = {"database", "memory", "stale"};
  constexpr std::array<const char*, kKinds> kKindNames = {"ok", "notfound", "temp", "perm"};
  for (const auto& named : maps_) {
    for (std::size_t source = 0; source < kSources; ++source) {
      for (std::size_t kind = 0; kind < kKinds; ++kind) {
        named->answers[source][kind] =
            &registry.counter("vmailkit_lookups_total", "Look-ups of Postfix, by map, result and source of the answer.",
                              {{"map", named->name}, {"result", kKindNames[kind]}, {"source", kSourceNames[source]}});
      }
      named->times[source] =
          &registry.histogram("vmailkit_lookup_seconds", "Time from a look-up's arrival to its answer, by source.",
                              {{"source", kSourceNames[source]}});
    }
  }
}

namespace {

// A map that asks the directory one kind of question.
template <class T, class Recall, class Ask>
Maps::Map directory_map(Recall recall, Ask ask, Reply (*spell)(const Outcome<T>&)) {
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

}  // namespace

void Maps::add_directory(directory::Directory& directory) {
  using directory::Later;
  const auto cached = directory::Freshness::Cached;
  add("domains",
      directory_map<DomainKind>(
          [&](std::string_view key, Instant now) { return directory.recall_domain(key, now); },
          [&](std::string_view key, Later<DomainKind> later) { return directory.domain(key, std::move(later)); },
          domains_reply));
  add("mailboxes",
      directory_map<Mailbox>([&](std::string_view key, Instant now) { return directory.recall_mailbox(key, now); },
                             [&, cached](std::string_view key, Later<Mailbox> later) {
                               return directory.mailbox(key, cached, std::move(later));
                             },
                             mailboxes_reply));
  add("aliases",
      directory_map<AddressList>(
          [&](std::string_view key, Instant now) { return directory.recall_aliases(key, now); },
          [&](std::string_view key, Later<AddressList> later) { return directory.aliases(key, std::move(later)); },
          aliases_reply));
}

std::optional<Reply> Maps::recall(const socketmap::Request& request) {
  const Instant arrival = clock_.now();
  Named* named = find(request.map);
  std::optional<Answered> answer;
  if (!request.has_space) {
    answer = {Reply::perm("a request is \"MAP KEY\", and this one has no blank")};
  } else if (named == nullptr) {
    answer = {unknown(request.map)};
  } else if (request.oversized) {
    answer = {Reply::not_found()};
  } else {
    answer = named->map.recall(request.key, arrival);
  }
  if (!answer) return std::nullopt;
  note(named, request.map, request.key, *answer, arrival);
  return std::move(answer->reply);
}

std::optional<Reply> Maps::ask(const socketmap::Request& request, socketmap::Later later) {
  const Instant arrival = clock_.now();
  Named* named = find(request.map);
  auto answer = named->map.ask(request.key, [this, named, arrival, key = std::string(request.key),
                                             later = std::move(later)](Answered answered) mutable {
    note(named, named->name, key, answered, arrival);
    later(answered.reply);
  });
  if (!answer) return std::nullopt;
  note(named, request.map, request.key, *answer, arrival);
  return std::move(answer->reply);
}

Maps::Named* Maps::find(std::string_view name) const {
  const auto at = std::find_if(maps_.begin(), maps_.end(), [&](const auto& map) { return map->name == name; });
  return at == maps_.end() ? nullptr : at->get();
}

Reply Maps::unknown(std::string_view name) const {
  std::string names;
  for (const auto& map : maps_) names.append(names.empty() ? "" : ", ").append(map->name);
  return Reply::perm("vmail-mapd has no map \"" + printable(name, 40) + "\"; it has: " + names);
}

void Maps::note(Named* named, std::string_view map, std::string_view key, const Answered& answer, Instant arrival) {
  const Reply& reply = answer.reply;
  if (named != nullptr && named->times[0] != nullptr) {
    const auto source = static_cast<std::size_t>(answer.source);
    named->answers[source][static_cast<std::size_t>(reply.kind())]->add();
    named->times[source]->observe(clock_.now() - arrival);
  }
  const auto result = socketmap::word(reply.kind());
  const bool good = reply.kind() == Reply::Kind::Ok || reply.kind() == Reply::Kind::NotFound;
  std::size_t suppressed = 0;
  if (!good && throttle_.allow(suppressed)) {
    const std::string more = suppressed > 0 ? fmt::format(" ({} others not logged)", suppressed) : "";
    log::warning("lookup map={} key={} result={}: {}{}", printable(map, 40), printable(key), result, reply.text(),
                 more);
  } else if (log::level() >= log::Level::Debug) {
    log::debug("lookup map={} key={} result={} data={}", printable(map, 40), printable(key), result,
               printable(reply.text()));
  }
}

}  // namespace vmail::maps
