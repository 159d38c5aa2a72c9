#include "shared/mysql/errors.h"

#include <fmt/format.h>

#include "shared/base/text.h"

namespace vmail::mysql {

// By number: each of the two libraries' headers lacks names that the other's servers send.
ErrorKind classify(unsigned code) {
  switch (code) {
    case 1040:  // too many connections
    case 1047:  // WSREP has not yet prepared the node: it has lost its cluster
    case 1053:  // server shutdown in progress
    case 1077:  // normal shutdown
    case 1079:  // shutdown complete
    case 1135:  // cannot make a thread
    case 1158:  // network error, reading
    case 1159:  // network timeout, reading
    case 1160:  // network error, writing
    case 1161:  // network timeout, writing
    case 1203:  // the user has too many connections
    case 1243:  // unknown prepared statement: a proxy moved us to another server
    case 1317:  // query interrupted
    case 1615:  // statement needs to be prepared again
    case 1927:  // connection was killed (MariaDB)
    case 2002:  // cannot connect by UNIX socket
    case 2003:  // cannot connect by TCP
    case 2005:  // unknown host
    case 2006:  // server has gone away
    case 2012:  // error in the handshake
    case 2013:  // lost connection
    case 2014:  // commands out of sync
    case 2026:  // TLS
    case 2027:  // malformed packet
    case 2055:  // lost connection, with the system's error
    case 3032:  // offline mode (MySQL)
    case 3159:  // insecure transport is forbidden (MySQL)
    case 4031:  // disconnected for inactivity (MySQL)
      return ErrorKind::Lost;
    case 1205:  // lock wait timeout
    case 1213:  // deadlock
    case 1969:  // max_statement_time (MariaDB)
    case 3024:  // max_execution_time (MySQL)
      return ErrorKind::Timeout;
    case 1044:  // no right to the database
    case 1045:  // wrong user or password
    case 1129:  // host blocked after errors
    case 1130:  // host not allowed
    case 1142:  // no right to the table
    case 1143:  // no right to a column
    case 1226:  // a user's resource limit
    case 1227:  // a privilege is needed
    case 1251:  // authentication protocol not supported
    case 1370:  // no right to a routine
    case 1698:  // access denied, without a password
    case 1820:  // password expired
    case 1862:  // password expired, disconnected
    case 2058:  // authentication plugin missing in the client
    case 2059:  // authentication plugin cannot be loaded
    case 2061:  // authentication plugin reported an error
    case 3118:  // account locked (MySQL)
    case 4151:  // account locked (MariaDB)
      return ErrorKind::Denied;
    case 1049:  // unknown database
    case 1054:  // unknown column
    case 1146:  // unknown table
    case 1356:  // a view refers to something missing
      return ErrorKind::Schema;
    case 1290:  // server runs with --read-only
    case 1792:  // read-only transaction
    case 1836:  // read-only mode
      return ErrorKind::ReadOnly;
    case 1062:  // duplicate entry
    case 1169:  // duplicate by a unique constraint
    case 1586:  // duplicate entry, named key
      return ErrorKind::Duplicate;
    default:
      return ErrorKind::Other;
  }
}

namespace {

// What an administrator does about it; empty when the server's words are enough.
std::string advice(ErrorKind kind, unsigned code, const Context& context) {
  switch (code) {
    case 1045:
    case 1698:
      return fmt::format(
          "check database user '{}' and its password file (database_password_file in vmailkit.toml); "
          "`vmailctl schema init` makes database and users, `vmailctl schema grants` the users and their passwords",
          context.user);
    case 1044:
      return fmt::format(
          "user '{}' lacks a grant, or there is no such database: run `vmailctl schema grants`, or `vmailctl schema "
          "init` "
          "for a new one",
          context.user);
    case 1142:
    case 1143:
    case 1227:
    case 1370:
      return fmt::format("user '{}' lacks a grant: run `vmailctl schema grants`", context.user);
    case 1049:
      return "check database.name in vmailkit.toml; `vmailctl schema init` makes a new database";
    case 1129:
    case 1130:
      return fmt::format("the server takes no connection of '{}' from this machine: check the host part of the user",
                         context.user);
    case 1040:
    case 1203:
      return "raise the server's max_connections, or lower database.connections in vmailkit.toml";
    case 2002:
    case 2003:
    case 2012:
    case 2013:
      return "check that the server runs, and database.hosts in vmailkit.toml";
    case 2005:
      return "check the name in database.hosts in vmailkit.toml";
    case 2026:
    case 3159:
      return "check database.tls and its files in vmailkit.toml, and that the server offers TLS";
    case 2058:
    case 2059:
    case 2061:
      return fmt::format("this client library cannot log in the way that user '{}' is set up", context.user);
    default:
      break;
  }
  if (kind == ErrorKind::Schema) return "`vmailctl schema status` tells what is missing";
  if (kind == ErrorKind::ReadOnly) return "this host takes no writes";
  return "";
}

}  // namespace

Error make_error(const Context& context, unsigned code, const std::string& server_message) {
  ErrorKind kind = classify(code);
  // 1290 is any server option in the way (secure_file_priv, skip-grant-tables); the two spellings of this one count.
  if (code == 1290 && server_message.find("read-only") == std::string::npos &&
      server_message.find("read_only") == std::string::npos) {
    kind = ErrorKind::Other;
  }
  std::string message = fmt::format("database '{}' on {} as '{}': {} (error {})", context.database, context.host,
                                    context.user, printable(server_message, 300), code);
  const std::string what_to_do = advice(kind, code, context);
  if (!what_to_do.empty()) message += "; " + what_to_do;
  return Error(kind, code, message);
}

}  // namespace vmail::mysql
