#include "postfix-maps/maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shared/base/text.h"

namespace vmail::maps {

using directory::DomainKind;
using directory::Mailbox;
using socketmap::Later;
using socketmap::Reply;

Reply domains_reply(const Outcome<DomainKind>& outcome) {
  return reply_for(outcome, [](DomainKind kind) {
    return kind == DomainKind::Own || kind == DomainKind::Alias ? Reply::ok("1") : Reply::not_found();
  });
}

Reply mailboxes_reply(const Outcome<Mailbox>& outcome) {
  return reply_for(outcome, [](const Mailbox&) { return Reply::ok("1"); });
}

Reply aliases_reply(const Outcome<std::vector<std::string>>& outcome) {
  return reply_for(outcome, [](const std::vector<std::string>& destinations) {
    std::string list;
    for (const auto& destination : destinations) {
      if (!list.empty()) list += ',';
      list += destination;
    }
    return Reply::ok(list);
  });
}

void Maps::add(std::string name, Map map) {
  maps_.push_back({std::move(name), std::move(map)});
}

void Maps::add_directory(directory::Directory& directory) {
  // Answers at once when the question has been answered at once.
  const auto now = [](const auto& answer, auto spell) {
    return answer ? std::optional<Reply>(spell(*answer)) : std::nullopt;
  };
  add("domains", [&directory, now](std::string_view key, Later later) {
    return now(directory.domain(key, [later = std::move(later)](
                                         Outcome<DomainKind> outcome) mutable { later(domains_reply(outcome)); }),
               domains_reply);
  });
  add("mailboxes", [&directory, now](std::string_view key, Later later) {
    return now(directory.mailbox(
                   key, directory::Freshness::Cached,
                   [later = std::move(later)](Outcome<Mailbox> outcome) mutable { later(mailboxes_reply(outcome)); }),
               mailboxes_reply);
  });
  add("aliases", [&directory, now](std::string_view key, Later later) {
    return now(directory.aliases(key,
                                 [later = std::move(later)](Outcome<std::vector<std::string>> outcome) mutable {
                                   later(aliases_reply(outcome));
                                 }),
               aliases_reply);
  });
}

std::optional<Reply> Maps::ask(const socketmap::Request& request, Later later) {
  const Named* named = find(request.map);
  std::optional<Reply> reply;
  if (!request.has_space) {
    reply = Reply::perm("a request is \"MAP KEY\", and this one has no blank");
  } else if (named == nullptr) {
    reply = unknown(request.map);
  } else if (request.oversized) {
    reply = Reply::not_found();
  } else {
    reply = named->map(request.key, [this, named, key = std::string(request.key),
                                     later = std::move(later)](const Reply& answer) mutable {
      note(named->name, key, answer);
      later(answer);
    });
  }
  if (reply) note(request.map, request.key, *reply);
  return reply;
}

const Maps::Named* Maps::find(std::string_view name) const {
  const auto at = std::find_if(maps_.begin(), maps_.end(), [&](const Named& map) { return map.name == name; });
  return at == maps_.end() ? nullptr : &*at;
}

Reply Maps::unknown(std::string_view name) const {
  std::string names;
  for (const auto& map : maps_) names.append(names.empty() ? "" : ", ").append(map.name);
  return Reply::perm("vmail-mapd has no map \"" + printable(name, 40) + "\"; it has: " + names);
}

void Maps::note(std::string_view map, std::string_view key, const Reply& reply) {
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
