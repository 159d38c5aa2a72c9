// The rows of virtual_app_passwords that vmailctl shows and changes. Addresses are keys, as in catalog.h; rows may
// spell the domain as U-label too. Throws mysql::Error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/secret.h"
#include "shared/mysql/connection.h"

namespace vmail::sql {

struct AppPasswordRow {
  std::string id;
  std::string address;
  std::string selector;
  std::string label;
  std::string services;
  std::string networks;
  std::int64_t not_after = 0;
  std::int64_t last_used = 0;
  std::string last_ip;
  bool enabled = true;
};

class AppPasswordTable {
 public:
  // The connection must outlive it. Looks whether there is such a table.
  explicit AppPasswordTable(mysql::Connection& connection);

  bool exists() const { return exists_; }
  // Refusal that says to run `vmailctl schema upgrade`, when there is none.
  void require() const;

  std::vector<AppPasswordRow> of(const std::string& address);  // all when empty
  // Throws mysql::Error of kind Duplicate when there is one of that selector.
  void add(const AppPasswordRow& row, const Secret& hash);
  void remove(const std::string& id);
  // Those of an address whose user goes, or was not there; nothing without a table.
  void remove_of(const std::string& address);

 private:
  mysql::Connection& connection_;
  bool exists_ = false;
};

}  // namespace vmail::sql
