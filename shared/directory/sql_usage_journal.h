// The usage journal in MySQL or MariaDB: a connection of its own to the hosts for writes.
#pragma once

#include <memory>
#include <string>

#include "shared/config/settings.h"
#include "shared/directory/directory.h"
#include "shared/directory/presets.h"
#include "shared/directory/usage_journal.h"
#include "shared/mysql/pool.h"
#include "shared/runtime/loop.h"

namespace vmail::directory {

class SqlUsageJournal final : public UsageJournal {
 public:
  // `loop` and `clock` outlive this. Of `options` the database user and its password count. Throws config::Error.
  SqlUsageJournal(Loop& loop, const Clock& clock, const config::Settings& settings, Options options);
  ~SqlUsageJournal() override;

  void exchange(UsageQuestion question, Instant deadline, Done<UsageAnswer> done) override;
  void hold(std::vector<HeldMessage> messages, Instant deadline, Done<bool> done) override;
  void stop() override;

 private:
  struct Work;

  const Clock& clock_;
  std::shared_ptr<Work> work_;  // shared with what runs on the worker
  std::unique_ptr<mysql::Pool> pool_;
};

// This host, as it is written down with what is held; up to 64 bytes.
std::string host_name();

}  // namespace vmail::directory
