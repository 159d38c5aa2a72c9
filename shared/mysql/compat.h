// Every difference between MariaDB Connector/C (Debian) and Oracle's libmysqlclient 8 and 9 (Ubuntu, Oracle), and
// nothing else. Included by this folder's .cc files only: it brings mysql.h with it.
//
// MYSQL_OPT_RECONNECT is never touched: Oracle's library prints to stderr when it is, and has dropped it since.
#pragma once

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include <string>
#include <type_traits>

namespace vmail::mysql::compat {

// MARIADB_PACKAGE_VERSION_ID is Connector/C's own; MYSQL_VERSION_ID means a server's version there.
#ifdef MARIADB_PACKAGE_VERSION_ID
inline constexpr bool kConnectorC = true;
#else
inline constexpr bool kConnectorC = false;
#endif

// my_bool (a char) in Connector/C, bool in Oracle's.
using Bool = std::remove_pointer_t<decltype(MYSQL_BIND::is_null)>;

enum class Tls { Off, Require, VerifyCa, VerifyFull };

// Always explicit: the defaults are "off" (Connector/C 3.3), "on and verified" (3.4) and "if the server has it"
// (Oracle).
inline void set_tls(MYSQL* mysql, Tls tls, const std::string& ca, const std::string& certificate,
                    const std::string& key) {
#ifdef MARIADB_PACKAGE_VERSION_ID
  // Up to 3.3 a CA file has the chain checked, and VERIFY_SERVER_CERT adds the name. From 3.4 on nothing is checked
  // without VERIFY_SERVER_CERT, so that verify-ca can only be had with the name (loopback addresses excepted). The
  // version is that of the library at run time: both have the same soname.
  const Bool enforce = tls != Tls::Off;
  const Bool verify = tls == Tls::VerifyFull || (tls == Tls::VerifyCa && mysql_get_client_version() >= 30400);
  mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &enforce);
#else
  unsigned mode = SSL_MODE_DISABLED;
  if (tls == Tls::Require) mode = SSL_MODE_REQUIRED;
  if (tls == Tls::VerifyCa) mode = SSL_MODE_VERIFY_CA;
  if (tls == Tls::VerifyFull) mode = SSL_MODE_VERIFY_IDENTITY;
  mysql_options(mysql, MYSQL_OPT_SSL_MODE, &mode);
#endif
  if (tls == Tls::Off) return;
  // Without verification a CA file is not given: it would turn the check on in one library and not in the other.
  if (tls != Tls::Require && !ca.empty()) mysql_options(mysql, MYSQL_OPT_SSL_CA, ca.c_str());
  if (!certificate.empty()) mysql_options(mysql, MYSQL_OPT_SSL_CERT, certificate.c_str());
  if (!key.empty()) mysql_options(mysql, MYSQL_OPT_SSL_KEY, key.c_str());
}

// True when it failed.
inline bool bind_parameters(MYSQL_STMT* statement, MYSQL_BIND* binds, unsigned count) {
#if !defined(MARIADB_PACKAGE_VERSION_ID) && MYSQL_VERSION_ID >= 80300
  return mysql_stmt_bind_named_param(statement, binds, count, nullptr);
#else
  (void)count;
  return mysql_stmt_bind_param(statement, binds);
#endif
}

// The descriptor of a connected socket.
inline int socket_of(MYSQL* mysql) {
#ifdef MARIADB_PACKAGE_VERSION_ID
  return mysql_get_socket(mysql);
#else
  return mysql->net.fd;
#endif
}

}  // namespace vmail::mysql::compat
