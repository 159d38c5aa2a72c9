// What the directory asks of a database; a seam, so that tests can inject failure and delay.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"
#include "shared/base/secret.h"
#include "shared/directory/domains.h"
#include "shared/directory/feed.h"
#include "shared/directory/mailbox_page.h"
#include "shared/directory/row_set.h"
#include "shared/directory/rows.h"

namespace vmail::directory {

// What is known about the asking itself, for status.
struct DatabaseStats {
  bool answers = false;
  WallTime since{};          // when that changed last
  std::string last_failure;  // empty: none since the start
  std::string host;          // that is asked, or empty
  std::uint64_t asked = 0;
  std::uint64_t failed = 0;
  std::uint64_t orphaned = 0;  // past their deadline
  std::uint64_t refused = 0;   // too many waited
  std::size_t waiting = 0;     // for a worker
};

// That an app password was used; `at` in seconds since 1970.
struct AppPasswordUse {
  std::uint64_t app_password = 0;
  std::string ip;
  std::int64_t at = 0;
};

// What a login is to have, as long as its stored hash is `hash`.
struct LoginChange {
  enum class What : unsigned char { Hash, Scram };
  What what = What::Hash;
  std::string address;
  Secret hash;
  Secret value;  // the new hash, or the SCRAM keys that belong to the one there is
};

struct Everything {
  std::shared_ptr<const Domains> domains;
  std::shared_ptr<const RowSet> rows;
};

// Loop thread only. Each question calls `done` once, from the loop, never inside the call, at the latest at `deadline`:
// Found, or TempFail with the reason.
class Database {
 public:
  template <class T>
  using Done = MoveOnlyFunction<void(Outcome<T>)>;

  virtual ~Database() = default;
  virtual void domains(Instant deadline, Done<std::shared_ptr<const Domains>> done) = 0;
  // All rows of all keys, in one statement.
  virtual void addresses(std::vector<std::string> keys, Instant deadline, Done<AddressRows> done) = 0;
  virtual void credentials(std::vector<std::string> keys, Instant deadline, Done<CredentialRows> done) = 0;
  // Of all mailboxes those that are on, behind that id.
  virtual void mailboxes(std::uint64_t after, Instant deadline, Done<MailboxPage> done) = 0;
  // One poll of the change feed. A schema without one is Found too, with the reason in `unavailable`.
  virtual void changes(FeedQuestion question, Instant deadline, Done<FeedAnswer> done) = 0;
  // All rows in one consistent view, which is taken after the call. Fails when they need more than `max_bytes`.
  virtual void everything(std::size_t max_bytes, Instant deadline, Done<Everything> done) = 0;
  // Drops notes that are older than the feed keeps them, a bounded number at a time. True: there are more.
  virtual void prune(Instant deadline, Done<bool> done) = 0;
  // Once, or twice when a host fails on the way, which does no harm.
  virtual void note_uses(std::vector<AppPasswordUse> uses, Instant deadline, Done<bool> done) = 0;
  // Tried once. False: the stored hash is another by now, and nothing was changed.
  virtual void change_login(LoginChange change, Instant deadline, Done<bool> done) = 0;
  // Fills in what it knows: host, counts and what waits.
  virtual void describe(DatabaseStats& stats) const = 0;
  // What is outstanding is answered TempFail. Blocks until the workers have ended.
  virtual void stop() = 0;
};

}  // namespace vmail::directory
