// Keeps the sets of domains, and the rules with them: loads them, reads them again now and then, and lets questions
// wait for a reading. When the database cannot be read, the sets that there are serve on.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"
#include "shared/directory/database.h"
#include "shared/directory/domains.h"
#include "shared/directory/guard.h"
#include "shared/runtime/loop.h"

namespace vmail::directory {

// Loop thread only. Owned by a shared_ptr: readings that are under way hold it weakly.
class DomainSets : public std::enable_shared_from_this<DomainSets> {
 public:
  struct Times {
    Duration deadline;  // of a reading
    Duration refresh;   // between two readings
    Duration retry;     // after one that failed
    Duration stale;     // how long they serve without another
  };
  // nullptr when the domains have been read, else the reason why they have not.
  using Resume = MoveOnlyFunction<void(const std::string* failure)>;

  // All of them outlive this. `schema_changed` is called when the sets come from another schema version than before.
  DomainSets(Loop& loop, const Clock& clock, Database& database, Guard& guard, Times times,
             MoveOnlyFunction<void()> schema_changed);

  // Begins a reading, unless one is under way.
  void load();
  // The same; one that is under way is followed by another.
  void load_anew();
  void set_times(Times times) { times_ = times; }

  // Those of a snapshot, before the first reading.
  void restore(std::shared_ptr<const Domains> domains, Instant read_at);

  // Nothing before the first reading, and when the last good one is longer ago than they may be stale; valid until the
  // loop goes on.
  const Domains* current(Instant now) const;
  const std::shared_ptr<const Domains>& last() const { return domains_; }
  Instant read_at() const { return read_at_; }
  // Why the last reading failed, or empty.
  const std::string& failure() const { return failure_; }
  // Whether they come from a reading that began then or later.
  bool read_since(Instant instant) const { return domains_ && read_at_ >= instant; }
  // Calls back, later and once, after a reading that began at `since` or later. It is told the failure of such a
  // reading if there are sets already; before the first ones it waits for the next try, until `deadline`.
  void wait(Instant deadline, Instant since, Resume resume);

  // Whoever waits is told `failure`, inside this call; nothing is read any more.
  void stop(const std::string& failure);

 private:
  struct Waiter {
    Instant since;
    Resume resume;
  };
  using Choice = MoveOnlyFunction<bool(Instant deadline, const Waiter& waiter)>;

  void loaded(Instant began, std::uint64_t request, Outcome<std::shared_ptr<const Domains>> outcome);
  // False: they are not believed.
  bool plausible(const Domains& domains);
  // The same with rules that can be used: those before, if they could not be read.
  std::shared_ptr<const Domains> with_rules(std::shared_ptr<const Domains> domains);
  bool take(std::shared_ptr<const Domains> domains, Instant began);
  void arm();
  void resume(const std::string* failure, Choice choice);

  Loop& loop_;
  const Clock& clock_;
  Database& database_;
  Guard& guard_;
  Times times_;
  MoveOnlyFunction<void()> schema_changed_;

  std::shared_ptr<const Domains> domains_;
  Instant read_at_{};
  bool loading_ = false;
  bool stopped_ = false;
  std::uint64_t requests_ = 0;              // a reading that began before the last is done again
  std::string failure_;                     // of the last reading, or empty
  std::string rules_trouble_;               // what has been logged about the rules
  std::multimap<Instant, Waiter> waiting_;  // by deadline
  Timer next_reading_;
  Timer next_deadline_;
};

}  // namespace vmail::directory
