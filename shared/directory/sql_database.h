// The Database that asks MySQL or MariaDB, through pools, with the texts of a preset.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/directory/database.h"
#include "shared/directory/presets.h"
#include "shared/mysql/hosts.h"
#include "shared/mysql/pool.h"
#include "shared/mysql/prober.h"

namespace vmail::directory {

class SqlDatabase final : public Database {
 public:
  // `loop` and `clock` outlive this. `limits` are for lookups; what is asked in the background has threads of its own,
  // and asks the same hosts, so that the notes of the feed come from where the rows come from.
  SqlDatabase(Loop& loop, const Clock& clock, std::shared_ptr<mysql::Hosts> hosts, mysql::Options options,
              mysql::Pool::Limits limits, Preset preset);
  ~SqlDatabase() override;

  void domains(Instant deadline, Done<std::shared_ptr<const Domains>> done) override;
  void addresses(std::vector<std::string> keys, Instant deadline, Done<AddressRows> done) override;
  void credentials(std::vector<std::string> keys, Instant deadline, Done<CredentialRows> done) override;
  void changes(FeedQuestion question, Instant deadline, Done<FeedAnswer> done) override;
  void everything(std::size_t max_bytes, Instant deadline, Done<Everything> done) override;
  void prune(Instant deadline, Done<bool> done) override;
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

// From rows of the database to rows of the directory; apart for their tests. A row counts only when its address,
// folded, is one of `keys`: a collation that takes other letters, case or trailing blanks for equal does not make them
// so.
AddressRows read_addresses(const std::vector<std::string>& keys, std::vector<mysql::Row> rows);
CredentialRows read_credentials(const std::vector<std::string>& keys, std::vector<mysql::Row> rows);
std::shared_ptr<const Domains> read_domains(const std::vector<mysql::Row>& rows, int schema_version);

// What one row of the texts `addresses` and `everything` says about its key.
struct AddressPart {
  std::string key;
  std::uint64_t order = 0;  // among those of one key
  AddressRow row;
};
using Cells = std::span<const std::optional<std::string_view>>;
// False for a row that nobody could ask for.
bool read_part(Cells cells, AddressPart& part);
// A note of the change feed, from its id, witness, kind and name.
FeedAnswer::Note read_note(const mysql::Row& row);

}  // namespace vmail::directory
