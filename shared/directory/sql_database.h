// The Database that asks MySQL or MariaDB, through pools, with the texts of a preset.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shared/directory/database.h"
#include "shared/directory/presets.h"
#include "shared/directory/sql_rows.h"
#include "shared/mysql/hosts.h"
#include "shared/mysql/pool.h"
#include "shared/mysql/prober.h"

namespace vmail::directory {

class SqlDatabase final : public Database {
 public:
  // `loop` and `clock` outlive this. `limits` are for lookups; what is asked in the background has threads of its own,
  // and asks the same hosts, so that the notes of the feed come from where the rows come from. `rules`: whether they
  // are read with the domains.
  SqlDatabase(Loop& loop, const Clock& clock, std::shared_ptr<mysql::Hosts> hosts, mysql::Options options,
              mysql::Pool::Limits limits, Preset preset, bool rules);
  ~SqlDatabase() override;

  void domains(Instant deadline, Done<std::shared_ptr<const Domains>> done) override;
  void addresses(std::vector<std::string> keys, Instant deadline, Done<AddressRows> done) override;
  void credentials(std::vector<std::string> keys, Instant deadline, Done<CredentialRows> done) override;
  void mailboxes(std::uint64_t after, Instant deadline, Done<MailboxPage> done) override;
  void changes(FeedQuestion question, Instant deadline, Done<FeedAnswer> done) override;
  void everything(std::size_t max_bytes, Instant deadline, Done<Everything> done) override;
  void prune(Instant deadline, Done<bool> done) override;
  void note_uses(std::vector<AppPasswordUse> uses, Instant deadline, Done<bool> done) override;
  void change_login(LoginChange change, Instant deadline, Done<bool> done) override;
  void describe(DatabaseStats& stats) const override;
  void stop() override;

 private:
  struct Schema;

  std::shared_ptr<Schema> schema_;  // shared with what runs on the workers
  std::shared_ptr<mysql::Hosts> hosts_;
  mysql::Prober prober_;
  mysql::Pool lookups_;
  mysql::Pool background_;
  mysql::Pool writes_;  // with hosts of its own
};

}  // namespace vmail::directory
