// From rows of the database, as the texts of a preset return them, to rows of the directory. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/directory/domains.h"
#include "shared/directory/feed.h"
#include "shared/directory/mailbox_page.h"
#include "shared/directory/rows.h"
#include "shared/mysql/connection.h"

namespace vmail::directory {

// In a column `enable`.
template <class Cell>
bool is_on(const std::optional<Cell>& enable) {
  return enable && *enable == "1";
}

// A row counts only when its address,
// folded, is one of `keys`: a collation that takes other letters, case or trailing blanks for equal does not make them
// so.
AddressRows read_addresses(const std::vector<std::string>& keys, std::vector<mysql::Row> rows);
CredentialRows read_credentials(const std::vector<std::string>& keys, std::vector<mysql::Row> rows);
// From id, address and enable; whether there is more is left open.
MailboxPage read_mailboxes(const std::vector<mysql::Row>& rows);
std::shared_ptr<Domains> read_domains(const std::vector<mysql::Row>& rows, int schema_version);
// From kind, name and value.
std::shared_ptr<const Rules> read_rules(const std::vector<mysql::Row>& rows);

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
