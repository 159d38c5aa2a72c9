// The maps that Postfix may ask, by name: each turns a key into a question of the directory, and its outcome into a
// reply.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "postfix-maps/socketmap/codec.h"
#include "postfix-maps/socketmap/session.h"
#include "shared/base/outcome.h"
#include "shared/directory/directory.h"
#include "shared/runtime/log.h"

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
socketmap::Reply aliases_reply(const Outcome<std::vector<std::string>>& outcome);

// Loop thread only.
class Maps {
 public:
  // A key is as Postfix sent it: not folded, perhaps no address at all. At once, or by `later`, as in socketmap::Ask.
  using Map = std::function<std::optional<socketmap::Reply>(std::string_view key, socketmap::Later later)>;

  void add(std::string name, Map map);
  // `domains`, `mailboxes` and `aliases` of a directory that outlives this.
  void add_directory(directory::Directory& directory);

  // An unknown map is PERM, with the names that are known; a key too long to name anything is NOTFOUND.
  std::optional<socketmap::Reply> ask(const socketmap::Request& request, socketmap::Later later);

 private:
  struct Named {
    std::string name;
    Map map;
  };
  const Named* find(std::string_view name) const;
  socketmap::Reply unknown(std::string_view name) const;
  // Debug for each; a warning for what an administrator must mend, held back when it comes in floods.
  void note(std::string_view map, std::string_view key, const socketmap::Reply& reply);

  std::vector<Named> maps_;
  log::Throttle throttle_;
};

}  // namespace vmail::maps
