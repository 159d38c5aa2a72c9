// Reads rows that are in memory again without being asked: those that the feed says have changed, so that an answer
// never waits for them, and now and then all of them, as a comparison with the database.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/directory/database.h"
#include "shared/directory/row_store.h"
#include "shared/directory/validity.h"
#include "shared/runtime/loop.h"

namespace vmail::directory {

// Loop thread only. Owned by a shared_ptr: readings that are under way hold it weakly.
class Refresher : public std::enable_shared_from_this<Refresher> {
 public:
  struct Times {
    Duration deadline;  // of a question
    Duration interval;  // between two comparisons
  };
  // Puts what was read where it belongs.
  using Put = MoveOnlyFunction<void(const std::string& key, const AddressRow& row, Instant read_at, bool known)>;

  // All of them outlive this.
  Refresher(Loop& loop, const Clock& clock, Database& database, RowStore& store, const Validity& validity, Times times,
            Put put);

  void refresh(std::vector<std::string> keys);
  // Compares the cache, a little at a time, from `interval` on. `may_ask` is asked before each reading.
  void start(MoveOnlyFunction<bool()> may_ask);
  void set_times(Times times) { times_ = times; }
  void stop();

 private:
  void step();
  void landed(Instant began, const Outcome<AddressRows>& rows, bool comparing);
  void ask(std::vector<std::string> keys, bool comparing);
  void next(Duration pause);

  const Clock& clock_;
  Database& database_;
  RowStore& store_;
  const Validity& validity_;
  Times times_;
  Put put_;
  MoveOnlyFunction<bool()> may_ask_;
  std::size_t bucket_ = 0;
  Instant comparison_began_{};
  std::size_t missed_ = 0;  // rows that had changed unnoticed, in this comparison
  bool stopped_ = false;
  Timer timer_;
};

}  // namespace vmail::directory
