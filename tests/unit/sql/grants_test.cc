#include "sql/vmailctl/grants.h"

#include <map>
#include <set>
#include <stdexcept>

#include "shared/config/config.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/sql_texts.h"
#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::sql;

TEST_CASE("a grants file is read as tables and columns") {
  const auto grants = parse_grants("x.sql",
                                   "-- remark\n"
                                   "GRANT SELECT (b, a) ON mailserver.virtual_users TO 'vmailkit-x'@'localhost';\n"
                                   "GRANT SELECT (version) ON mailserver.vmailkit_schema TO 'vmailkit-x'@'localhost';\n"
                                   "GRANT TRIGGER ON mailserver.virtual_users TO 'vmailkit-x'@'localhost';\n"
                                   "GRANT EXECUTE ON FUNCTION mailserver.f TO 'vmailkit-x'@'localhost';\n");
  REQUIRE(grants.size() == 4);
  CHECK(grants[0].object == "virtual_users");
  CHECK(grants[0].columns == std::set<std::string>{"a", "b"});
  CHECK(grants[1].object == "vmailkit_schema");
  CHECK(grants[2].privilege == "TRIGGER");
  CHECK(grants[2].object == "virtual_users");
  CHECK(grants[2].columns.empty());
  CHECK(grants[3].privilege == "EXECUTE");
  CHECK(grants[3].on == Grant::On::Function);
  CHECK(grants[3].object == "f");
}

TEST_CASE("a statement of another shape is refused") {
  const char* const bad[] = {
      "",
      "GRANT SELECT ON mailserver.t TO 'vmailkit-x'@'localhost';",
      "GRANT UPDATE ON mailserver.t TO 'vmailkit-x'@'localhost';",
      "GRANT INSERT ON mailserver.t TO 'vmailkit-x'@'localhost';",
      "GRANT TRIGGER (a) ON mailserver.t TO 'vmailkit-x'@'localhost';",
      "GRANT EXECUTE ON mailserver.t TO 'vmailkit-x'@'localhost';",
      "GRANT SELECT (a) ON FUNCTION mailserver.t TO 'vmailkit-x'@'localhost';",
      "GRANT ALL ON mailserver.t TO 'vmailkit-x'@'localhost';",
      "GRANT SELECT (a, a) ON mailserver.t TO 'vmailkit-x'@'localhost';",
      "GRANT SELECT (a,) ON mailserver.t TO 'vmailkit-x'@'localhost';",
      "GRANT SELECT (a) ON other.t TO 'vmailkit-x'@'localhost';",
      "GRANT SELECT (a) ON mailserver.`t` TO 'vmailkit-x'@'localhost';",
      "GRANT SELECT (a) ON mailserver.t TO 'root'@'localhost';",
      "GRANT SELECT (a) ON mailserver.t TO 'vmailkit-x'@'%';",
  };
  for (const char* text : bad) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_grants("x.sql", text), std::runtime_error);
  }
}

TEST_CASE("only the login daemon may read password hashes, and none may write but what a feature needs") {
  // Of each daemon: "PRIVILEGE table column" of all that is no reading.
  const auto writes = [](const config::Settings& settings) {
    std::map<std::string, std::set<std::string>> writes;
    const auto accounts = accounts_of(settings);
    REQUIRE(accounts.size() == 3);
    for (const auto& account : accounts) {
      CAPTURE(account.section);
      bool reads_hashes = false;
      REQUIRE_FALSE(account.grants.empty());
      for (const auto& grant : account.grants) {
        for (const char* secret : {"password", "hash", "scram_sha256"}) {
          reads_hashes |= grant.columns.count(secret) == 1;
        }
        const bool counted = grant.object == "vmailkit_usage" || grant.object == "vmailkit_held";
        if (grant.privilege == "SELECT" || grant.privilege == "EXECUTE" || (counted && account.section == "maps")) {
          continue;
        }
        for (const auto& column : grant.columns) {
          writes[account.section].insert(grant.privilege + ' ' + grant.object + ' ' + column);
        }
      }
      CHECK(reads_hashes == (account.section == "auth"));
    }
    return writes;
  };
  using Writes = std::map<std::string, std::set<std::string>>;
  const std::set<std::string> uses = {"UPDATE virtual_app_passwords last_used", "UPDATE virtual_app_passwords last_ip"};
  config::Settings settings;
  CHECK(writes(settings) == Writes{{"auth", uses}});
  auto of_rehash = uses;
  of_rehash.insert({"UPDATE virtual_users password", "UPDATE virtual_users scram_for"});
  settings.passwords.rehash = true;
  CHECK(writes(settings) == Writes{{"auth", of_rehash}});
  auto of_scram = uses;
  of_scram.insert({"UPDATE virtual_users scram_sha256", "UPDATE virtual_users scram_for"});
  settings.passwords.rehash = false;
  settings.passwords.capture_scram = true;
  CHECK(writes(settings) == Writes{{"auth", of_scram}});
}

TEST_CASE("the host part of the daemons' users follows from the database's hosts") {
  config::Settings settings;
  const auto hosts = [&](std::vector<std::string> database_hosts, const std::string& from = "") {
    settings.database.hosts = std::move(database_hosts);
    return hosts_of(settings, from);
  };
  using Hosts = std::vector<std::string>;
  CHECK(hosts({"unix:/run/mysqld/mysqld.sock"}) == Hosts{"localhost"});
  CHECK(hosts({"127.0.0.1:3307"}) == Hosts{"localhost", "127.0.0.1", "::1"});
  CHECK(hosts({"unix:/s", "localhost", "[::1]:3306"}) == Hosts{"localhost", "127.0.0.1", "::1"});
  CHECK_THROWS_AS(hosts({"db.example.org"}), Refusal);
  CHECK_THROWS_AS(hosts({"unix:/s", "192.0.2.1"}), Refusal);
  CHECK(hosts({"db.example.org"}, "192.0.2.%") == Hosts{"192.0.2.%"});
}
