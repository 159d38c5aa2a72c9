// The database users of the daemons: what each may read (sql/grants/*.sql), how they are made and repaired, and their
// password files.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "shared/config/settings.h"
#include "shared/mysql/connection.h"

namespace vmail::sql {

struct TableGrant {
  std::string table;
  std::set<std::string> columns;
};

// Lines of the one shape `GRANT SELECT (a, b) ON mailserver.TABLE TO 'USER'@'localhost';`, names of database and user
// left for the configuration to say. Throws std::runtime_error "FILE: what is wrong". Pure.
std::vector<TableGrant> parse_grants(std::string_view file_name, std::string_view text);

// One daemon's account.
struct Account {
  std::string section;  // "maps": of the configuration and of sql/grants/
  std::string user;
  std::string password_file;
  std::string owner;  // of the password file: the user that the daemon runs as
  std::vector<TableGrant> grants;
};
std::vector<Account> accounts_of(const config::Settings& settings);

// The host parts of the accounts: `from` when it is given; else localhost, and the loopback addresses when [database]
// names them (a server with skip_name_resolve does not see a name in them). Refusal when a host is another machine:
// what that one calls us cannot be known.
std::vector<std::string> hosts_of(const config::Settings& settings, const std::string& from);

// What the account lacks, and what it may do beyond what it should. The lines are for people.
struct GrantCheck {
  bool exists = true;
  std::vector<std::string> missing;
  std::vector<std::string> extra;
  bool good() const { return exists && missing.empty() && extra.empty(); }
};
GrantCheck check_grants(mysql::Connection& connection, const std::string& database, const Account& account,
                        const std::string& host);

// Makes the account if it is not there, gives it the password, and brings its grants to what they should be. Running
// daemons keep their connections; rights are taken away only where there are too many.
void repair_account(mysql::Connection& connection, const std::string& database, const Account& account,
                    const std::string& host, const std::string& password);

}  // namespace vmail::sql
