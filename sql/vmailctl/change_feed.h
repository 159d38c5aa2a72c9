// The change feed in the database: the account, triggers and routines of sql/feed.sql. Blocking.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/mysql/connection.h"
#include "sql/vmailctl/grants.h"

namespace vmail::sql {

// One trigger or routine of sql/feed.sql.
struct FeedObject {
  std::string kind;  // TRIGGER, FUNCTION, PROCEDURE
  std::string name;
  std::string signature;  // " AFTER INSERT ON virtual_users FOR EACH ROW", or what a routine has between name and body
  std::string body;       // "BEGIN ... END"
};
// With the patterns applied to each watched table. Throws std::runtime_error for a text that is not made like that
// file. Pure.
std::vector<FeedObject> parse_feed(std::string_view text);

struct FeedReport {
  bool has_tables = false;   // those of schema version 4
  bool wanted = false;       // not switched off
  bool writes_fail = false;  // triggers are there that let no write to their tables pass
  std::vector<std::string> problems;
  bool good() const { return has_tables && problems.empty(); }
};

class ChangeFeed {
 public:
  // The connection must outlive it and have the database selected.
  ChangeFeed(mysql::Connection& connection, std::string database);

  FeedReport look();
  // Makes what is missing or other than it should be, and gives `daemons` that exist their rights to it. What was
  // written in the meantime may not have been noted, so the feed is another one afterwards, which its readers see.
  // Throws mysql::Error: the next time goes on.
  void make(const std::vector<Account>& daemons);
  // Removes it all but the tables, and notes that it is not wanted. Throws mysql::Error.
  void remove();

 private:
  bool has_tables();
  bool is_wanted();
  std::vector<const FeedObject*> missing();  // or other than they should be
  std::string account_name();

  mysql::Connection& connection_;
  const std::string database_;
  const std::vector<FeedObject> objects_;
  const Account account_;
};

// Why the server refused to make it, in words, with what can be done.
std::string explain(const mysql::Error& error);

}  // namespace vmail::sql
