// Follows aliases to where they end, by the directory's own questions, one after the other and depth first: only so is
// each loop seen that there is.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/seeded_hash.h"
#include "shared/directory/directory.h"
#include "shared/runtime/log.h"

namespace vmail::directory {

// Loop thread only. Owned by a shared_ptr: what is under way holds it, and asks nothing more of a directory that has
// stopped.
class Expander : public std::enable_shared_from_this<Expander> {
 public:
  enum class Way : unsigned char {
    OfMail,    // what has aliases is no end, unless it is one of its own destinations
    OfOwners,  // and what has a mailbox besides is one too
  };

  // `deadline`: after that no further question is asked.
  Expander(Directory& directory, const Clock& clock, Duration deadline)
      : directory_(directory), clock_(clock), deadline_(deadline) {}
  void set_deadline(Duration deadline) { deadline_ = deadline; }

  Answer<Expansion> expand(std::string_view address, Freshness freshness, Way way, Later<Expansion> later);

 private:
  class Run;

  // What has been logged, by key.
  struct Logged {
    std::unordered_set<std::string, SeededHash> keys;
    log::Throttle throttle;
    // True: nothing has been logged about it yet, and may be now.
    bool is_news(const std::string& key);
  };
  void log_dead_end(const std::string& alias, const std::string& key);
  void log_loop(const std::vector<std::string>& way);

  Directory& directory_;
  const Clock& clock_;
  Duration deadline_;
  const SeededHash hash_;  // of the tables of each run
  Logged dead_ends_;
  Logged loops_;
};

}  // namespace vmail::directory
