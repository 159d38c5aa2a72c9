// The Database that asks MySQL or MariaDB, through a pool, with the texts of a preset.
#pragma once

#include <memory>

#include "shared/directory/database.h"
#include "shared/directory/presets.h"
#include "shared/mysql/pool.h"

namespace vmail::directory {

class SqlDatabase final : public Database {
 public:
  // `loop` and `clock` outlive this.
  SqlDatabase(Loop& loop, const Clock& clock, mysql::Options options, mysql::Pool::Limits limits, Preset preset);
  ~SqlDatabase() override;

  void domains(Instant deadline, Done<std::shared_ptr<const Domains>> done) override;
  void addresses(std::vector<std::string> keys, Instant deadline, Done<AddressRows> done) override;
  void credentials(std::vector<std::string> keys, Instant deadline, Done<CredentialRows> done) override;
  void stop() override { pool_.stop(); }

 private:
  struct Schema;

  std::shared_ptr<Schema> schema_;  // shared with what runs on the workers
  mysql::Pool pool_;
};

// From rows of the database to rows of the directory; apart for their tests. A row counts only when its address,
// folded, is one of `keys`: a collation that takes other letters, case or trailing blanks for equal does not make them
// so.
AddressRows read_addresses(const std::vector<std::string>& keys, std::vector<mysql::Row> rows);
CredentialRows read_credentials(const std::vector<std::string>& keys, std::vector<mysql::Row> rows);
std::shared_ptr<const Domains> read_domains(const std::vector<mysql::Row>& rows, int schema_version);

}  // namespace vmail::directory
