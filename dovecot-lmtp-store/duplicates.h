// Messages that were stored while their client may not have read the reply: it will send them again, and they are not
// to be stored twice.
//
// Postfix keeps a recipient until it has read its 250. When the connection is lost before, it sends the same queue file
// again, by the same queue id, minutes later. A message is known again by its client, that queue id, the recipient and
// a digest of its text together: short queue ids are used again by other messages, and a client that names none
// (lmtp_send_xforward_command = no) has nothing suppressed. What is known is forgotten as soon as a later command of
// the session shows that the reply was read, after an hour, with the process, and when there is too much of it.
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/mutex.h"
#include "shared/base/seeded_hash.h"

namespace vmail::store {

// From any thread; never blocks for long.
class Duplicates {
 public:
  static constexpr std::size_t kMost = 100000;
  static constexpr Duration kLifetime = std::chrono::hours(1);

  // `clock` outlives it.
  explicit Duplicates(const Clock& clock, std::size_t most = kMost) : clock_(clock), most_(most) {}

  // The name under which what is known by `key` was stored.
  std::optional<std::string> find(const std::string& key) const;
  // Stored under `name`, and its reply is on its way; `id` is Message::id.
  void stored(const std::string& key, std::string_view id, const std::string& name);
  // The client has sent a command behind the replies to the message with this id, and not before them (a pipelined
  // QUIT shows nothing): it has read them.
  void confirmed(std::string_view id);
  std::size_t size() const;

 private:
  struct Entry {
    std::string key;
    std::string id;
    std::string name;
    Instant since;
  };
  using Place = std::list<Entry>::iterator;

  void drop(Place place) VMAIL_REQUIRES(mutex_);

  const Clock& clock_;
  const std::size_t most_;
  mutable Mutex mutex_;
  std::list<Entry> entries_ VMAIL_GUARDED_BY(mutex_);  // the oldest first
  // Views into the entries.
  std::unordered_map<std::string_view, Place, SeededHash> by_key_ VMAIL_GUARDED_BY(mutex_);
  std::unordered_map<std::string_view, std::vector<Place>, SeededHash> by_id_ VMAIL_GUARDED_BY(mutex_);
};

// Nothing in one part can be taken for another: each begins with its length.
std::string duplicate_key(std::string_view client, std::string_view queue_id, std::string_view recipient,
                          std::string_view digest);

}  // namespace vmail::store
