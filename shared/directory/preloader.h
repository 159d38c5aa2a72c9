// Holds all rows in memory: loads them, keeps them right with the feed, loads them anew now and then as a comparison
// with the whole database, and does not believe a reading that has lost most of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/seeded_hash.h"
#include "shared/directory/database.h"
#include "shared/directory/guard.h"
#include "shared/directory/row_store.h"
#include "shared/runtime/loop.h"

namespace vmail::directory {

// Loop thread only. Owned by a shared_ptr: readings that are under way hold it weakly.
class Preloader : public std::enable_shared_from_this<Preloader> {
 public:
  enum class State : unsigned char { Off, Loading, Loaded };
  struct Settings {
    bool wanted;
    std::size_t max_bytes;
    Duration interval;  // between two readings of everything
  };
  // What is not needed any more, and takes long to destroy.
  using Dispose = MoveOnlyFunction<void(std::shared_ptr<const RowSet> set)>;

  // All of them outlive this.
  Preloader(Loop& loop, const Clock& clock, Database& database, RowStore& store, Guard& guard, Settings settings,
            Dispose dispose);

  // The feed is followed, or is not any more: without it what is not in the set may still exist.
  void followed(bool is_followed);
  // Loads everything soon: something has happened that single rows cannot mend.
  void reload();
  // The row to serve of what was just read for a key: the one that was known before, while a loss is not believed.
  void check(const std::string& key, AddressRow& row);
  void restore(std::shared_ptr<const RowSet> set, Instant read_at);
  void set(Settings settings) { settings_ = settings; }
  void stop();

  State state() const;
  const std::string& reason() const { return reason_; }

 private:
  void load();
  void loaded(Instant began, Outcome<Everything> outcome);
  void next(Duration pause);

  Loop& loop_;
  const Clock& clock_;
  Database& database_;
  RowStore& store_;
  Guard& guard_;
  Settings settings_;
  Dispose dispose_;

  bool followed_ = false;
  bool loading_ = false;
  bool again_ = false;  // something has happened since this reading began
  bool stopped_ = false;
  std::string reason_ = "the change feed is not followed";
  // Since the set was read: what it has and is gone, and what it has not and is there.
  using Keys = std::unordered_set<std::string, SeededHash, std::equal_to<>>;
  Keys lost_;
  Keys gained_;
  Instant last_load_{};
  Duration last_took_{};
  Timer timer_;
};

}  // namespace vmail::directory
