// One connection to a MySQL or MariaDB server: blocking, prepared statements. The folder shared/mysql is the only one
// that includes mysql.h, and compat.h the only header with version differences in it.
//
// A Connection belongs to one thread at a time, interrupt() excepted. Nothing here retries; see pool.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/secret.h"
#include "shared/config/settings.h"

namespace vmail::mysql {

struct Host {
  std::string socket;  // a UNIX socket's path, or empty
  std::string name;    // else a name or address
  unsigned port = 3306;
  std::string text() const;  // as in the configuration, for logs
};
// Throws config::Error that names the value, and the setting that it is of.
Host parse_host(const std::string& text, const char* setting = "database.hosts");

enum class ErrorKind {
  Lost,       // cannot connect, the connection broke, or the host cannot serve now: another try may work, elsewhere too
  Timeout,    // the server gave up waiting or computing
  Denied,     // wrong password, no such user, no grant: the message says what to do
  Schema,     // a database, table or column is missing: `vmailctl schema status` tells
  ReadOnly,   // not a host for writes
  Duplicate,  // a unique key forbids the row
  Other,
};

// what() says what is wrong, on which host and for whom, and what to do next, in one line without secrets.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, unsigned code, const std::string& message)
      : std::runtime_error(message), kind_(kind), code_(code) {}
  ErrorKind kind() const { return kind_; }
  unsigned code() const { return code_; }  // the server's or client library's number, 0 when it is our own finding

 private:
  ErrorKind kind_;
  unsigned code_;
};

struct Options {
  std::vector<Host> hosts;
  std::vector<Host> write_hosts;  // for what is written
  std::string database;           // may be empty: none selected
  std::string user;
  Secret password;  // empty: none (UNIX-socket authentication)
  std::string tls = "off";
  std::string tls_ca, tls_certificate, tls_key;
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds read_timeout{0};  // 0: none; the client library counts in whole seconds, rounded up
  Options copy() const;
};
// From [database] and the section's user and password. Throws config::Error for a host that is none.
Options options_from(const config::Settings& settings, std::string user, Secret password);

// Parameters and cells are text or NULL; numbers are written as decimal text.
using Value = std::optional<std::string>;
using Row = std::vector<Value>;
struct Result {
  std::vector<std::string> columns;
  std::vector<Row> rows;
  std::uint64_t affected = 0;  // rows found by an UPDATE or DELETE, changed or not (CLIENT_FOUND_ROWS)
  std::uint64_t insert_id = 0;
};

class Connection {
 public:
  // Connects to that one host, within options.connect_timeout; name resolution counts. Throws Error.
  static std::unique_ptr<Connection> open(const Options& options, const Host& host);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Prepares `sql` once per connection (kept by its text) and runs it. Throws Error; after ErrorKind::Lost the
  // connection is of no more use.
  Result query(const std::string& sql, std::span<const Value> parameters = {});
  // The same, row by row as they come from the server, for results that are not to be held: `on_row` is given the cells
  // of each, which are valid during the call, and uses this connection for nothing. When it throws, the rest of the
  // rows is not waited for: the connection is then of no more use.
  using Cells = std::span<const std::optional<std::string_view>>;
  void stream(const std::string& sql, const std::function<void(Cells cells)>& on_row,
              std::span<const Value> parameters = {});
  // One statement without parameters that cannot be prepared (CREATE TRIGGER, GRANT...). Nothing from outside may stand
  // in its text but by quote() and quote_identifier(). Throws Error.
  Result run(const std::string& sql);
  // For literals in run(): quoted, and escaped by the connection's own rules. Throws Error.
  std::string quote(std::string_view literal);
  static std::string quote_identifier(std::string_view name);

  const Host& host() const;
  std::string server_version() const;
  // Ends it: whoever holds it (a Pool) opens another one for the next question.
  void give_up();
  bool usable() const;  // false after that
  // From any thread: when stream() last had rows; long ago when it never had.
  Instant last_row() const;
  // From any thread while the Connection lives: ends a call that blocks, by shutting the socket down; it then throws
  // Lost.
  void interrupt();

 private:
  struct State;
  explicit Connection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// While it lives, what the connection reads is one state of the database, that of its making (of tables in InnoDB).
class ConsistentView {
 public:
  explicit ConsistentView(Connection& connection);  // throws Error
  ~ConsistentView();
  ConsistentView(const ConsistentView&) = delete;
  ConsistentView& operator=(const ConsistentView&) = delete;

 private:
  Connection& connection_;
};

// The first host that answers, in their order; for tools. Throws the last Error.
std::unique_ptr<Connection> open_any(const Options& options);

}  // namespace vmail::mysql
