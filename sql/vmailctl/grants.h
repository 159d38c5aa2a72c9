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

struct Grant {
  enum class On : unsigned char { Table, Function, Procedure };
  std::string privilege;
  On on = On::Table;
  std::string object;
  std::set<std::string> columns;  // of a table, for SELECT, INSERT and UPDATE
};

// Lines of these shapes, names of database and user left for the configuration to say:
//   GRANT SELECT|INSERT|UPDATE (a, b) ON mailserver.TABLE TO 'vmailkit-NAME'@'localhost';
//   GRANT TRIGGER|DELETE ON mailserver.TABLE TO ...
//   GRANT EXECUTE ON FUNCTION|PROCEDURE mailserver.ROUTINE TO ...
// Throws std::runtime_error "FILE: what is wrong". Pure.
std::vector<Grant> parse_grants(std::string_view file_name, std::string_view text);

struct Account {
  std::string section;  // "maps": of the configuration and of sql/grants/
  std::string user;
  std::string password_file;
  std::string owner;  // of the password file: the user that the daemon runs as
  std::vector<Grant> grants;
  bool of_server = false;  // it may have rights in other databases too
  bool own_maps = false;   // it may read the site's own tables, for [[maps.query]]
};
// The daemons' ones.
std::vector<Account> accounts_of(const config::Settings& settings);
// That which the triggers of the change feed belong to; locked, without a password file.
Account feed_account();

// The host parts of the accounts: `from` when it is given; else localhost, and the loopback addresses when [database]
// names them (a server with skip_name_resolve does not see a name in them). Refusal when a host is another machine:
// what that one calls us cannot be known.
std::vector<std::string> hosts_of(const config::Settings& settings, const std::string& from);

// What the account lacks, and what it may do beyond what it should. The lines are for people. Rights to a routine that
// is not there are neither: the change feed may be off.
struct GrantCheck {
  bool exists = true;
  std::vector<std::string> missing;
  std::vector<std::string> extra;
  // Rights to read what is none of our tables, where the account may have them; the column may be empty.
  struct Own {
    std::string schema, table, column;
  };
  std::vector<Own> own;
  bool good() const { return exists && missing.empty() && extra.empty(); }
};
GrantCheck check_grants(mysql::Connection& connection, const std::string& database, const Account& account,
                        const std::string& host);

// Makes the account if it is not there, gives it the password, and brings its grants to what they should be. Running
// daemons keep their connections; rights are taken away only where there are too many.
void repair_account(mysql::Connection& connection, const std::string& database, const Account& account,
                    const std::string& host, const std::string& password);

// Gives the account what it lacks.
void grant_missing(mysql::Connection& connection, const std::string& database, const Account& account,
                   const std::string& host);
// The same for those of them that exist, wherever each may come from.
void grant_missing(mysql::Connection& connection, const std::string& database, const std::vector<Account>& accounts);

}  // namespace vmail::sql
