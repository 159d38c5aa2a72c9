#include "shared/mysql/connection.h"

#include "shared/config/config.h"
#include "shared/mysql/errors.h"
#include "tests/support/catch.h"

using vmail::mysql::Connection;
using vmail::mysql::ErrorKind;

TEST_CASE("hosts are read as the configuration writes them") {
  const struct {
    const char* text;
    const char* socket;
    const char* name;
    unsigned port;
    const char* again;  // Host::text()
  } cases[] = {
      {"unix:/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock", "", 3306, "unix:/run/mysqld/mysqld.sock"},
      {"db.example.org", "", "db.example.org", 3306, "db.example.org:3306"},
      {"db.example.org:3307", "", "db.example.org", 3307, "db.example.org:3307"},
      {"localhost", "", "localhost", 3306, "localhost:3306"},
      {"192.0.2.1:1", "", "192.0.2.1", 1, "192.0.2.1:1"},
      {"[2001:db8::1]", "", "2001:db8::1", 3306, "[2001:db8::1]:3306"},
      {"[::1]:65535", "", "::1", 65535, "[::1]:65535"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    const auto host = vmail::mysql::parse_host(c.text);
    CHECK(host.socket == c.socket);
    CHECK(host.name == c.name);
    CHECK(host.port == c.port);
    CHECK(host.text() == c.again);
  }
}

TEST_CASE("what is no host is refused, by its value") {
  for (const std::string& text :
       {std::string("unix:"), std::string("unix:relative"), "unix:/" + std::string(200, 'x'), std::string(""),
        std::string("::1"), std::string("[::1"), std::string("[::1]3306"), std::string("[]:1"), std::string(":3306"),
        std::string("db:"), std::string("db:0"), std::string("db:65536"), std::string("db:33 06"),
        std::string("db:abc"), std::string("user@db"), std::string("/run/mysqld/mysqld.sock"), std::string("a b")}) {
    CAPTURE(text);
    try {
      vmail::mysql::parse_host(text);
      FAIL("it was taken");
    } catch (const vmail::config::Error& error) {
      CHECK(std::string(error.what()).find("database.hosts: '" + text) == 0);
    }
  }
}

TEST_CASE("identifiers are quoted") {
  CHECK(Connection::quote_identifier("virtual_users") == "`virtual_users`");
  CHECK(Connection::quote_identifier("a`b") == "`a``b`");
}

TEST_CASE("an error says what to do") {
  const vmail::mysql::Context context{"unix:/s", "vmailkit-maps", "mailserver"};
  const struct {
    unsigned code;
    const char* server;
    ErrorKind kind;
    const char* advice;  // part of the message
  } cases[] = {
      {1045, "Access denied for user", ErrorKind::Denied, "database_password_file"},
      {1142, "SELECT command denied", ErrorKind::Denied, "vmailctl schema grants"},
      {1143, "SELECT command denied for column", ErrorKind::Denied, "vmailctl schema grants"},
      {1044, "Access denied to database", ErrorKind::Denied, "vmailctl schema grants"},
      {1049, "Unknown database", ErrorKind::Schema, "vmailctl schema init"},
      {1146, "Table 'x.y' doesn't exist", ErrorKind::Schema, "vmailctl schema status"},
      {1054, "Unknown column", ErrorKind::Schema, "vmailctl schema status"},
      {2002, "Can't connect", ErrorKind::Lost, "check that the server runs"},
      {2026, "TLS/SSL error", ErrorKind::Lost, "database.tls"},
      {1040, "Too many connections", ErrorKind::Lost, "database.connections"},
      {1047, "WSREP has not yet prepared node for application use", ErrorKind::Lost, ""},
      {2006, "Server has gone away", ErrorKind::Lost, ""},
      {1969, "max_statement_time exceeded", ErrorKind::Timeout, ""},
      {1062, "Duplicate entry", ErrorKind::Duplicate, ""},
      {1290, "The server is running with the --read-only option", ErrorKind::ReadOnly, "no writes"},
      {1290, "The server is running with the --skip-grant-tables option", ErrorKind::Other, ""},
      {1064, "You have an error in your SQL syntax", ErrorKind::Other, ""},
  };
  for (const auto& c : cases) {
    CAPTURE(c.code, c.server);
    const auto error = vmail::mysql::make_error(context, c.code, c.server);
    const std::string message = error.what();
    CHECK(error.kind() == c.kind);
    CHECK(error.code() == c.code);
    CHECK(message.find("database 'mailserver' on unix:/s as 'vmailkit-maps': " + std::string(c.server)) == 0);
    CHECK(message.find(c.advice) != std::string::npos);
  }
}
