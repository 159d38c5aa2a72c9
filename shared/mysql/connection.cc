#include "shared/mysql/connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <unordered_map>
#include <utility>

#include "shared/base/text.h"
#include "shared/base/unique_fd.h"
#include "shared/config/config.h"
#include "shared/mysql/compat.h"
#include "shared/mysql/errors.h"
#include "shared/mysql/library.h"
#include "shared/mysql/resolve.h"

namespace vmail::mysql {
namespace {

// A program has some dozens of statement texts; one that makes them up without end must not fill the server's
// max_prepared_stmt_count.
constexpr std::size_t kMaxStatements = 100;
// A cell longer than this is fetched a second time, into a buffer of its length.
constexpr std::size_t kCell = 256;
// A row takes less time than to ask what time it is.
constexpr std::uint64_t kRowsPerNote = 256;

struct CloseConnection {
  void operator()(MYSQL* mysql) const { mysql_close(mysql); }
};
struct CloseStatement {
  void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
};
struct FreeResult {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using MysqlPtr = std::unique_ptr<MYSQL, CloseConnection>;
using StatementPtr = std::unique_ptr<MYSQL_STMT, CloseStatement>;
using ResultPtr = std::unique_ptr<MYSQL_RES, FreeResult>;

compat::Tls tls_of(const Options& options, const Host& host) {
  if (!host.socket.empty() || options.tls == "off") return compat::Tls::Off;
  if (options.tls == "require") return compat::Tls::Require;
  // Without a CA one library would refuse, one take the system's, and one check nothing.
  if (options.tls_ca.empty()) {
    throw Error(ErrorKind::Other, 0,
                fmt::format("database.tls is '{}' but database.tls_ca is empty: name the file of the server's CA",
                            options.tls));
  }
  return options.tls == "verify-ca" ? compat::Tls::VerifyCa : compat::Tls::VerifyFull;
}

unsigned whole_seconds(std::chrono::milliseconds time) {
  return static_cast<unsigned>((time.count() + 999) / 1000);
}

std::vector<std::string> column_names(MYSQL_RES* result) {
  std::vector<std::string> names;
  const unsigned count = mysql_num_fields(result);
  const MYSQL_FIELD* fields = mysql_fetch_fields(result);
  names.reserve(count);
  for (unsigned i = 0; i < count; ++i) names.emplace_back(fields[i].name, fields[i].name_length);
  return names;
}

struct Cell {
  std::array<char, kCell> bytes;
  unsigned long length = 0;
  compat::Bool null = 0;
  compat::Bool truncated = 0;
};

// Where a statement puts a row. A password hash may have passed through.
class FetchedRow {
 public:
  explicit FetchedRow(std::size_t count) : cells_(count), binds_(count), long_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      Cell& cell = cells_[i];
      binds_[i].buffer_type = MYSQL_TYPE_STRING;
      binds_[i].buffer = cell.bytes.data();
      binds_[i].buffer_length = kCell;
      binds_[i].length = &cell.length;
      binds_[i].is_null = &cell.null;
      binds_[i].error = &cell.truncated;
    }
  }
  ~FetchedRow() {
    for (Cell& cell : cells_) explicit_bzero(&cell, sizeof cell);
    for (std::string& text : long_) explicit_bzero(text.data(), text.size());
  }
  FetchedRow(const FetchedRow&) = delete;
  FetchedRow& operator=(const FetchedRow&) = delete;

  MYSQL_BIND* binds() { return binds_.data(); }
  std::size_t size() const { return cells_.size(); }
  // Of the row that was fetched last, valid until the next. False when the library has an error.
  bool cell(MYSQL_STMT* statement, std::size_t i, std::optional<std::string_view>& into) {
    const Cell& cell = cells_[i];
    if (cell.null) {
      into.reset();
    } else if (cell.length <= kCell) {
      into.emplace(cell.bytes.data(), cell.length);
    } else {
      std::string& text = long_[i];
      text.resize(cell.length);
      MYSQL_BIND whole{};
      whole.buffer_type = MYSQL_TYPE_STRING;
      whole.buffer = text.data();
      whole.buffer_length = cell.length;
      if (mysql_stmt_fetch_column(statement, &whole, static_cast<unsigned>(i), 0) != 0) return false;
      into = text;
    }
    return true;
  }

 private:
  std::vector<Cell> cells_;
  std::vector<MYSQL_BIND> binds_;
  std::vector<std::string> long_;
};

}  // namespace

struct Connection::State {
  Host host;
  Context context;
  MysqlPtr mysql;
  // Our own name for the socket: the library closes its one whenever it sees an error, and interrupt() from another
  // thread must never hit a number that was given to somebody else in between.
  UniqueFd socket;
  bool usable = true;
  std::atomic<Instant> last_row{Instant{}};
  std::unordered_map<std::string, StatementPtr> statements;  // closed before the connection: declared after it

  Error error() const { return make_error(context, mysql_errno(mysql.get()), mysql_error(mysql.get())); }
  Error error(MYSQL_STMT* statement) const {
    if (mysql_stmt_errno(statement) != 0) {
      return make_error(context, mysql_stmt_errno(statement), mysql_stmt_error(statement));
    }
    // Connector/C tells nobody why a row that was to come did not.
    if (mysql_errno(mysql.get()) != 0) return error();
    return make_error(context, CR_SERVER_LOST, "the connection was lost in the middle of the rows");
  }
  MYSQL_STMT* prepared(const std::string& sql);
  MYSQL_STMT* execute(const std::string& sql, std::span<const Value> parameters);
  // Held: the whole result is taken from the server before the first row is given.
  void each_row(MYSQL_STMT* statement, std::size_t columns, bool hold, const std::function<void(Cells)>& on_row);
};

Options Options::copy() const {
  Options other;
  other.hosts = hosts;
  other.write_hosts = write_hosts;
  other.database = database;
  other.user = user;
  other.password = password.copy();
  other.tls = tls;
  other.tls_ca = tls_ca;
  other.tls_certificate = tls_certificate;
  other.tls_key = tls_key;
  other.connect_timeout = connect_timeout;
  other.read_timeout = read_timeout;
  return other;
}

Options options_from(const config::Settings& settings, std::string user, Secret password) {
  const auto& database = settings.database;
  Options options;
  for (const auto& host : database.hosts) options.hosts.push_back(parse_host(host));
  if (options.hosts.empty()) throw config::SettingError("database.hosts", "it is empty; name at least one host");
  for (const auto& host : database.write_hosts) {
    options.write_hosts.push_back(parse_host(host, "database.write_hosts"));
  }
  if (options.write_hosts.empty()) options.write_hosts = options.hosts;
  options.database = database.name;
  options.user = std::move(user);
  options.password = std::move(password);
  options.tls = database.tls;
  options.tls_ca = database.tls_ca;
  options.tls_certificate = database.tls_certificate;
  options.tls_key = database.tls_key;
  options.connect_timeout = database.connect_timeout;
  return options;
}

std::string Host::text() const {
  if (!socket.empty()) return "unix:" + socket;
  return name.find(':') == std::string::npos ? fmt::format("{}:{}", name, port) : fmt::format("[{}]:{}", name, port);
}

Host parse_host(const std::string& text, const char* setting) {
  const auto refuse = [&](const char* why) {
    return config::SettingError(
        setting, fmt::format("'{}' {}; a host is \"unix:/path/of/the.sock\", \"name\", \"name:port\" or \"[IPv6 "
                             "address]:port\"",
                             printable(text), why));
  };
  Host host;
  std::string_view rest = text;
  if (rest.starts_with("unix:")) {
    host.socket = rest.substr(5);
    if (!host.socket.starts_with('/')) throw refuse("has no absolute path");
    if (host.socket.size() > 107) throw refuse("is longer than a UNIX socket's path may be (107 bytes)");
    return host;
  }
  std::optional<std::string_view> port;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) throw refuse("lacks a ']'");
    host.name = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!rest.empty() && rest.front() != ':') throw refuse("has something other than a port after the ']'");
    if (!rest.empty()) port = rest.substr(1);
  } else {
    const auto colon = rest.find(':');
    if (colon != std::string_view::npos && rest.find(':', colon + 1) != std::string_view::npos) {
      throw refuse("is an IPv6 address without brackets");
    }
    host.name = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon + 1);
  }
  if (host.name.empty()) throw refuse("names no host");
  if (host.name.find_first_of(" \t/@") != std::string::npos) throw refuse("has a character that no host name has");
  if (port) {
    const auto number = parse_number(*port);
    if (!number || *number == 0 || *number > 65535) throw refuse("has no port from 1 to 65535 after the ':'");
    host.port = static_cast<unsigned>(*number);
  }
  return host;
}

std::unique_ptr<Connection> Connection::open(const Options& options, const Host& host) {
  use_library();
  auto state = std::make_unique<State>();
  state->host = host;
  state->context = Context{host.text(), options.user, options.database};
  const compat::Tls tls = tls_of(options, host);

  if (host.socket.empty()) {
    const std::string problem = why_not_resolved(host.name, options.connect_timeout);
    if (!problem.empty()) throw make_error(state->context, CR_UNKNOWN_HOST, problem);
  }

  state->mysql.reset(mysql_init(nullptr));
  MYSQL* mysql = state->mysql.get();
  if (mysql == nullptr) throw std::bad_alloc();
  const unsigned connect_timeout = whole_seconds(options.connect_timeout);
  mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_timeout);
  if (options.read_timeout.count() > 0) {
    const unsigned read_timeout = whole_seconds(options.read_timeout);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &read_timeout);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &read_timeout);
  }
  // "localhost" alone would silently mean the default UNIX socket.
  const unsigned protocol = host.socket.empty() ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;
  mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
  mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  const unsigned local_infile = 0;  // a server may not ask for our files
  mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &local_infile);
  compat::set_tls(mysql, tls, options.tls_ca, options.tls_certificate, options.tls_key);

  const bool connected =
      mysql_real_connect(mysql, host.socket.empty() ? host.name.c_str() : nullptr, options.user.c_str(),
                         options.password.text().c_str(), options.database.empty() ? nullptr : options.database.c_str(),
                         host.port, host.socket.empty() ? nullptr : host.socket.c_str(), CLIENT_FOUND_ROWS) != nullptr;
  if (!connected) throw state->error();
  // Without it each connection would see for ever what it saw at its first question.
  if ((mysql->server_status & SERVER_STATUS_AUTOCOMMIT) == 0 && mysql_autocommit(mysql, 1) != 0) throw state->error();

  if (tls != compat::Tls::Off) {
    const char* cipher = mysql_get_ssl_cipher(mysql);
    if (cipher == nullptr || *cipher == '\0') {
      throw make_error(state->context, CR_SSL_CONNECTION_ERROR, "the server gave a connection without TLS");
    }
  }
  state->socket.reset(fcntl(compat::socket_of(mysql), F_DUPFD_CLOEXEC, 0));
  if (!state->socket) {
    throw Error(ErrorKind::Other, 0, fmt::format("cannot duplicate the database's socket: {}", strerror(errno)));
  }
  return std::unique_ptr<Connection>(new Connection(std::move(state)));
}

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::~Connection() = default;

const Host& Connection::host() const {
  return state_->host;
}
std::string Connection::server_version() const {
  return mysql_get_server_info(state_->mysql.get());
}
void Connection::give_up() {
  state_->usable = false;
  interrupt();
}
Instant Connection::last_row() const {
  return state_->last_row;
}
bool Connection::usable() const {
  return state_->usable;
}
void Connection::interrupt() {
  ::shutdown(state_->socket.get(), SHUT_RDWR);
}

MYSQL_STMT* Connection::State::prepared(const std::string& sql) {
  const auto known = statements.find(sql);
  if (known != statements.end()) return known->second.get();

  StatementPtr statement(mysql_stmt_init(mysql.get()));
  if (!statement) throw error();
  if (mysql_stmt_prepare(statement.get(), sql.data(), static_cast<unsigned long>(sql.size())) != 0) {
    throw error(statement.get());
  }
  if (statements.size() >= kMaxStatements) statements.clear();
  return statements.emplace(sql, std::move(statement)).first->second.get();
}

void Connection::State::each_row(MYSQL_STMT* statement, std::size_t columns, bool hold,
                                 const std::function<void(Cells)>& on_row) {
  FetchedRow row(columns);
  std::vector<std::optional<std::string_view>> cells(columns);
  if (mysql_stmt_bind_result(statement, row.binds()) != 0) throw error(statement);
  if (hold && mysql_stmt_store_result(statement) != 0) throw error(statement);
  for (;;) {
    const int status = mysql_stmt_fetch(statement);
    if (status == MYSQL_NO_DATA) return;
    if (status != 0 && status != MYSQL_DATA_TRUNCATED) throw error(statement);
    for (std::size_t i = 0; i < columns; ++i) {
      if (!row.cell(statement, i, cells[i])) throw error(statement);
    }
    on_row(cells);
  }
}

// Runs the statement; what it answers is still to be fetched.
MYSQL_STMT* Connection::State::execute(const std::string& sql, std::span<const Value> parameters) {
  MYSQL_STMT* statement = prepared(sql);
  if (mysql_stmt_param_count(statement) != parameters.size()) {
    throw Error(ErrorKind::Other, 0,
                fmt::format("a statement with {} parameters was given {}: {}", mysql_stmt_param_count(statement),
                            parameters.size(), printable(sql)));
  }
  std::vector<MYSQL_BIND> binds(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i]) {
      binds[i].buffer_type = MYSQL_TYPE_NULL;
      continue;
    }
    binds[i].buffer_type = MYSQL_TYPE_STRING;
    binds[i].buffer = const_cast<char*>(parameters[i]->data());  // only read
    binds[i].buffer_length = static_cast<unsigned long>(parameters[i]->size());
    // length stays null: buffer_length is used
  }
  const bool bound = binds.empty() || !compat::bind_parameters(statement, binds.data(), unsigned(binds.size()));
  if (!bound || mysql_stmt_execute(statement) != 0) throw error(statement);
  return statement;
}

Result Connection::query(const std::string& sql, std::span<const Value> parameters) {
  Result result;
  try {
    MYSQL_STMT* statement = state_->execute(sql, parameters);
    if (const ResultPtr metadata{mysql_stmt_result_metadata(statement)}) {
      result.columns = column_names(metadata.get());
      state_->each_row(statement, result.columns.size(), true, [&](Cells cells) {
        Row& row = result.rows.emplace_back();
        row.reserve(cells.size());
        for (const auto& cell : cells) row.emplace_back(cell);
      });
    } else {
      result.affected = mysql_stmt_affected_rows(statement);
      result.insert_id = mysql_stmt_insert_id(statement);
    }
    mysql_stmt_free_result(statement);
  } catch (...) {
    // Whatever state it is in (a table may have been altered under it), the next use prepares it anew.
    state_->statements.erase(sql);
    throw;
  }
  return result;
}

void Connection::stream(const std::string& sql, const std::function<void(Cells)>& on_row,
                        std::span<const Value> parameters) {
  MYSQL_STMT* statement = nullptr;
  try {
    statement = state_->execute(sql, parameters);
  } catch (...) {
    state_->statements.erase(sql);
    throw;
  }
  try {
    const ResultPtr metadata{mysql_stmt_result_metadata(statement)};
    std::uint64_t rows = 0;
    if (metadata) {
      state_->each_row(statement, mysql_num_fields(metadata.get()), false, [&](Cells cells) {
        if (rows++ % kRowsPerNote == 0) state_->last_row = std::chrono::steady_clock::now();
        on_row(cells);
      });
    }
    mysql_stmt_free_result(statement);
  } catch (...) {
    // The library would read all that is still to come before it does anything else, closing included.
    give_up();
    throw;
  }
}

Result Connection::run(const std::string& sql) {
  MYSQL* mysql = state_->mysql.get();
  if (mysql_real_query(mysql, sql.data(), static_cast<unsigned long>(sql.size())) != 0) {
    // A syntax error quotes the statement, and that may hold a password.
    std::string message = mysql_error(mysql);
    if (const auto near = message.find(" near '"); near != std::string::npos) message.resize(near);
    throw make_error(state_->context, mysql_errno(mysql), message);
  }
  Result result;
  if (const ResultPtr stored{mysql_store_result(mysql)}) {
    result.columns = column_names(stored.get());
    while (const MYSQL_ROW cells = mysql_fetch_row(stored.get())) {
      const unsigned long* lengths = mysql_fetch_lengths(stored.get());
      Row& row = result.rows.emplace_back();
      for (std::size_t i = 0; i < result.columns.size(); ++i) {
        if (cells[i] == nullptr) {
          row.emplace_back();
        } else {
          row.emplace_back(std::in_place, cells[i], lengths[i]);
        }
      }
    }
  }
  if (mysql_errno(mysql) != 0) throw state_->error();
  if (result.columns.empty()) {
    result.affected = mysql_affected_rows(mysql);
    result.insert_id = mysql_insert_id(mysql);
  }
  return result;
}

std::string Connection::quote(std::string_view literal) {
  std::string text(literal.size() * 2 + 3, '\0');
  text[0] = '\'';
  const unsigned long length = mysql_real_escape_string(state_->mysql.get(), text.data() + 1, literal.data(),
                                                        static_cast<unsigned long>(literal.size()));
  if (length == static_cast<unsigned long>(-1)) throw state_->error();
  text.resize(length + 1);
  text += '\'';
  return text;
}

std::string Connection::quote_identifier(std::string_view name) {
  std::string text = "`";
  for (const char c : name) {
    if (c == '`') text += '`';
    text += c;
  }
  return text + '`';
}

ConsistentView::ConsistentView(Connection& connection) : connection_(connection) {
  // The server's default may be a level at which each statement sees another state; this holds for one transaction.
  connection.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  connection.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
}

ConsistentView::~ConsistentView() {
  if (!connection_.usable()) return;
  try {
    connection_.run("COMMIT");
  } catch (const std::exception&) {
    // It would go on reading the old state.
    connection_.give_up();
  }
}

std::unique_ptr<Connection> open_any(const Options& options) {
  for (std::size_t i = 0; i < options.hosts.size(); ++i) {
    try {
      return Connection::open(options, options.hosts[i]);
    } catch (const Error&) {
      if (i + 1 == options.hosts.size()) throw;
    }
  }
  throw Error(ErrorKind::Other, 0, "no database host is configured");
}

}  // namespace vmail::mysql
