#include "postfix-maps/maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shared/base/text.h"

namespace vmail::maps {

using socketmap::Reply;

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
  return Reply::perm("no map \"" + printable(name, 40) + "\"; there are: " + names);
}

void Maps::note(Named* named, std::string_view map, std::string_view key, const Answered& answer, Instant arrival) {
  const Reply& reply = answer.reply;
  const Duration took = clock_.now() - arrival;
  if (named != nullptr && named->times[0] != nullptr) {
    const auto source = static_cast<std::size_t>(answer.source);
    named->answers[source][static_cast<std::size_t>(reply.kind())]->add();
    named->times[source]->observe(took);
  }
  const bool good = reply.kind() == Reply::Kind::Ok || reply.kind() == Reply::Kind::NotFound;
  std::size_t suppressed = 0;
  const bool warn = !good && throttle_.allow(suppressed);
  if (!warn && log::level() < log::Level::Debug) return;
  constexpr std::array<const char*, kSources> kSourceWords = {"db", "cache", "stale"};
  const std::string line =
      fmt::format("lookup map={} key={} result={} source={} ms={:.3f}", printable(map, 40), printable(key),
                  socketmap::word(reply.kind()), kSourceWords[static_cast<std::size_t>(answer.source)],
                  std::chrono::duration<double, std::milli>(took).count());
  if (warn) {
    const std::string more = suppressed > 0 ? fmt::format(" ({} others not logged)", suppressed) : "";
    log::warning("{}: {}{}", line, reply.text(), more);
  } else if (good) {
    log::debug("{} data={}", line, printable(reply.text()));
  } else {
    log::debug("{}: {}", line, reply.text());
  }
}

}  // namespace vmail::maps
