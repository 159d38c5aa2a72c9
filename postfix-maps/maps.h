// The maps that Postfix may ask, by name: each turns a key into a question of the directory, and its outcome into a
// reply.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "postfix-maps/socketmap/codec.h"
#include "postfix-maps/socketmap/session.h"
#include "shared/base/clock.h"
#include "shared/base/outcome.h"
#include "shared/directory/directory.h"
#include "shared/runtime/log.h"
#include "shared/runtime/metrics.h"

namespace vmail::maps {

// The table of DESIGN section 2 for socketmap: Found is OK, NotFound and Disabled are NOTFOUND, TempFail is TEMP.
template <class T, class Spell>
socketmap::Reply reply_for(const Outcome<T>& outcome, Spell spell) {
  switch (outcome.status()) {
    case Status::Found:
      return spell(outcome.value());
    case Status::NotFound:
    case Status::Disabled:
      return socketmap::Reply::not_found();
    case Status::TempFail:
      break;
  }
  return socketmap::Reply::temp(outcome.reason());
}

// virtual_mailbox_domains: own domains and alias domains, whose mail we take too. Relay domains belong elsewhere.
socketmap::Reply domains_reply(const Outcome<directory::DomainKind>& outcome);
// virtual_mailbox_maps: that it exists is all that Postfix wants to know.
socketmap::Reply mailboxes_reply(const Outcome<directory::Mailbox>& outcome);
// virtual_alias_maps: the destinations, separated by commas.
socketmap::Reply aliases_reply(const Outcome<AddressList>& outcome);

// Loop thread only.
class Maps final : public socketmap::Answerer {
 public:
  struct Answered {
    socketmap::Reply reply;
    Source source = Source::Memory;
  };
  using Later = MoveOnlyFunction<void(Answered)>;
  // A key is as Postfix sent it: not folded, perhaps no address at all. As in socketmap::Answerer.
  struct Map {
    std::function<std::optional<Answered>(std::string_view key, Instant now)> recall;
    std::function<std::optional<Answered>(std::string_view key, Later later)> ask;
  };

  // `clock` outlives this.
  explicit Maps(const Clock& clock) : clock_(clock) {}

  void add(const std::string& name, Map map);
  // `domains`, `mailboxes` and `aliases` of a directory that outlives this.
  void add_directory(directory::Directory& directory);
  // Counts there from now on; for the maps that have been added. The registry outlives this.
  void metrics(metrics::Registry& registry);

  // An unknown map is PERM, with the names that are known; a key too long to name anything is NOTFOUND.
  std::optional<socketmap::Reply> recall(const socketmap::Request& request) override;
  std::optional<socketmap::Reply> ask(const socketmap::Request& request, socketmap::Later later) override;

 private:
  static constexpr std::size_t kSources = 3, kKinds = 4;
  struct Named {
    std::string name;
    Map map;
    std::array<std::array<metrics::Counter*, kKinds>, kSources> answers{};
    std::array<metrics::Histogram*, kSources> times{};
  };
  Named* find(std::string_view name) const;
  socketmap::Reply unknown(std::string_view name) const;
  // Counts; debug for each; a warning for what an administrator must mend, held back when it comes in floods.
  void note(Named* named, std::string_view map, std::string_view key, const Answered& answer, Instant arrival);

  const Clock& clock_;
  std::vector<std::unique_ptr<Named>> maps_;
  log::Throttle throttle_;
};

}  // namespace vmail::maps
