/* A checkpassword as people write it: it asks MySQL itself, for each login anew, and hashes by crypt(3). What ours is
 * measured beside.
 *
 *   checkpassword_sql SOCKET USER PASSWORD DATABASE HOME REPLY-PROGRAM
 *
 * The interface is http://cr.yp.to/checkpwd/interface.html: "user\0password\0" on descriptor 3. Dovecot's reply program
 * takes what is known from the environment.
 */
#define _GNU_SOURCE
#include <crypt.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 7) return 111;
  char input[1024];
  size_t size = 0;
  for (ssize_t got; size < sizeof input - 1 && (got = read(3, input + size, sizeof input - 1 - size)) > 0;) {
    size += (size_t)got;
  }
  input[size] = '\0';
  const char* user = input;
  const char* password = user + strlen(user) + 1;
  if (password >= input + size) return 2;

  MYSQL* mysql = mysql_init(NULL);
  if (mysql == NULL || mysql_real_connect(mysql, NULL, argv[2], argv[3], argv[4], 0, argv[1], 0) == NULL) return 111;
  char quoted[600], query[800];
  if (strlen(user) > 250) return 1;
  mysql_real_escape_string(mysql, quoted, user, (unsigned long)strlen(user));
  snprintf(query, sizeof query, "SELECT password FROM virtual_users WHERE enable = 1 AND email = '%s'", quoted);
  if (mysql_query(mysql, query) != 0) return 111;
  MYSQL_RES* result = mysql_store_result(mysql);
  if (result == NULL) return 111;
  MYSQL_ROW row = mysql_fetch_row(result);
  if (row == NULL || row[0] == NULL) return 1;
  struct crypt_data data;
  memset(&data, 0, sizeof data);
  const char* hash = crypt_r(password, row[0], &data);
  if (hash == NULL || strcmp(hash, row[0]) != 0) return 1;
  mysql_close(mysql);

  setenv("USER", user, 1);
  setenv("HOME", argv[5], 1);
  setenv("userdb_uid", "5000", 1);
  setenv("userdb_gid", "5000", 1);
  setenv("EXTRA", "userdb_uid userdb_gid", 1);
  execv(argv[6], argv + 6);
  return 111;
}
