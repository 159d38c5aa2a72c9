// The maps that the administrator defines by queries ([[maps.query]]). Their answers are kept in memory for the
// lifetimes of [directory], and served stale, within its bounds, while they cannot be read; what is noted in the change
// feed says nothing about them. They are asked over connections of their own: a slow query holds up no mailbox.
//
// Loop thread only; a question is answered as the Directory's are.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/directory/directory.h"

namespace vmail::directory {

// What is asked of a database; a seam, so that tests can inject failure and delay.
class QueryDatabase {
 public:
  // Found: the first column of all rows, without what is NULL or empty; perhaps nothing.
  using Done = MoveOnlyFunction<void(Outcome<AddressList>)>;

  virtual ~QueryDatabase() = default;
  // Calls `done` once, from the loop, never inside the call, at the latest at `deadline`.
  virtual void ask(const std::string& sql, std::vector<std::string> parameters, Instant deadline, Done done) = 0;
  // What is outstanding is answered TempFail. Blocks until the workers have ended.
  virtual void stop() = 0;
};

class QueryMaps {
 public:
  // `loop` and `clock` outlive this. Throws config::Error for a query that cannot be. No connection is made before the
  // first question. The snapshot's folder in `options` is not used.
  QueryMaps(Loop& loop, const Clock& clock, const config::Settings& settings, const Options& options);
  // The same over any database, for tests; none is needed where no map is defined.
  QueryMaps(Loop& loop, const Clock& clock, const config::Settings& settings, std::unique_ptr<QueryDatabase> database);
  ~QueryMaps();  // stop(), if that has not been done
  QueryMaps(const QueryMaps&) = delete;
  QueryMaps& operator=(const QueryMaps&) = delete;

  // In the order of the configuration; a map is named by its place here.
  const std::vector<std::string>& names() const;

  // NotFound: no row, or a key that has not all parts which the query names.
  Answer<AddressList> ask(std::size_t map, std::string_view key, Later<AddressList> later);
  // The same from memory alone.
  Recalled<AddressList> recall(std::size_t map, std::string_view key, Instant now);

  // All of it is asked anew; it still serves while the database is away.
  void flush();
  // New lifetimes and delimiter; other queries need a restart, and a line in the log says so.
  void reload(const config::Settings& settings);
  // Outstanding questions are answered TempFail, inside this call. Blocks until the workers have ended.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vmail::directory
