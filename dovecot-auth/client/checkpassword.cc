// checkpassword: Dovecot 2.3's way to ask vmail-authd (passdb and userdb checkpassword; db-checkpassword.c and
// passdb-checkpassword.c of its src/auth). Dovecot runs it once per question:
//
//   standard use     user and password on descriptor 3, the answer on descriptor 4, exit status
//   password check   no AUTHORIZED                             0 right, 1 wrong or unknown
//   userdb lookup    AUTHORIZED=1                              2 found, 3 unknown
//   credentials      AUTHORIZED=1, CREDENTIALS_LOOKUP=1        2 found, 3 unknown
//   anything else    111: a temporary failure to Dovecot
//
// The answer is written here and the program that Dovecot names in the arguments (checkpassword-reply) is not run: what
// it is told, it is told by its environment, which is no place for a password hash, and it would be one exec more.
// That also leaves out the step where a plain qmail helper might be taken for a lookup (AUTHORIZED=2): nothing but the
// daemon's own OK ends in 0 or 2.
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dovecot-auth/client/answer.h"
#include "dovecot-auth/client/ask.h"
#include "dovecot-auth/verify/protocol.h"
#include "dovecot-auth/wire/tabs.h"

using namespace vmail::auth;

namespace {

constexpr int kInput = 3;
constexpr int kOutput = 4;
constexpr int kTemporary = 111;
// Postfix waits 10 s for Dovecot; the daemon has answered after 7.
constexpr long long kDeadlineMs = 8000;
// Dovecot sends no more than 512 bytes.
constexpr size_t kMaxInput = 1024;
// "user NUL password NUL timestamp NUL". Not until the end of the pipe: what Dovecot starts before it has written, for
// other logins, inherits the writing end (its db-checkpassword.c sets no close-on-exec), so that of logins that come
// together each would wait until all that were started behind it are over.
constexpr int kInputStrings = 3;

enum class Mode { Verify, Userdb, Credentials };

struct Options {
  const char* socket = "/run/vmailkit/auth/verify";
  const char* credentials_socket = "/run/vmailkit/auth/credentials";
};

// All that may hold a password or a hash; wiped before the end.
struct Secrets {
  char input[kMaxInput + 1];
  char request[protocol::kMaxLine];
  char reply[protocol::kMaxLine + 1];
  char output[2 * protocol::kMaxLine];
};
Secrets secrets;

[[noreturn]] void finish(int status) {
  explicit_bzero(&secrets, sizeof secrets);
  _exit(status);
}

// One line to standard error, which is Dovecot's log.
[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char* format, ...) {
  char line[512] = "vmailkit checkpassword: ";
  const size_t begin = strlen(line);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line + begin, sizeof line - begin - 1, format, arguments);
  va_end(arguments);
  strcat(line, "\n");
  // Where the log cannot be reached, the status has to do.
  const ssize_t wrote = write(STDERR_FILENO, line, strlen(line));
  static_cast<void>(wrote);
  finish(kTemporary);
}

Options parse_options(int argc, char** argv) {
  Options options;
  // The first argument that is no option of ours begins the program that Dovecot names.
  for (int i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
    const bool verify = strcmp(argv[i], "--socket") == 0;
    const bool credentials = strcmp(argv[i], "--credentials-socket") == 0;
    if (!verify && !credentials)
      fail("unknown option %.64s (known: --socket PATH, --credentials-socket PATH)", argv[i]);
    if (i + 1 >= argc) fail("%s needs a path behind it", argv[i]);
    (verify ? options.socket : options.credentials_socket) = argv[i + 1];
  }
  return options;
}

Mode mode_from_environment() {
  if (getenv("AUTHORIZED") == nullptr) return Mode::Verify;
  return getenv("CREDENTIALS_LOOKUP") == nullptr ? Mode::Userdb : Mode::Credentials;
}

void put_from_environment(tabs::Writer& writer, const char* key, const char* variable) {
  const char* value = getenv(variable);
  if (value != nullptr && *value != '\0') writer.field(key, value);
}

// The request, out of what is on descriptor 3.
size_t build_request(Mode mode, size_t input_size) {
  const char* user = secrets.input;
  const char* user_end = static_cast<const char*>(memchr(user, '\0', input_size));
  if (user_end == nullptr) fail("descriptor 3 holds no user name that ends in NUL: is this run by Dovecot?");
  const char* password = user_end + 1;
  const size_t rest = input_size - static_cast<size_t>(password - user);
  if (memchr(password, '\0', rest) == nullptr)
    fail("descriptor 3 holds no password that ends in NUL: is this run by Dovecot?");

  tabs::Writer writer(secrets.request, sizeof secrets.request);
  writer.word(mode == Mode::Verify   ? protocol::kVerify
              : mode == Mode::Userdb ? protocol::kUserdb
                                     : protocol::kCredentials);
  writer.field("user", user);
  if (mode == Mode::Verify) writer.field("password", password);
  put_from_environment(writer, "service", "SERVICE");
  put_from_environment(writer, "rip", "TCPREMOTEIP");
  put_from_environment(writer, "session", "AUTH_SESSION");
  if (mode == Mode::Credentials) put_from_environment(writer, "scheme", "SCHEME");
  writer.end_line();
  if (!writer.ok()) fail("user name, password and what else Dovecot told are too long together");
  return writer.size();
}

// What Dovecot reads from descriptor 4: fields with our names in front of those that are for its userdb.
size_t build_output(Mode mode, tabs::Field* fields, size_t count) {
  tabs::Writer writer(secrets.output, sizeof secrets.output);
  for (size_t i = 1; i < count; ++i) {
    if (const char* user = tabs::value_of(fields[i], "user"))
      writer.field(mode == Mode::Userdb ? "userdb_user" : "user", user);
    if (const char* home = tabs::value_of(fields[i], "home")) writer.field("userdb_home", home);
    if (const char* uid = tabs::value_of(fields[i], "uid")) writer.field("userdb_uid", uid);
    if (const char* gid = tabs::value_of(fields[i], "gid")) writer.field("userdb_gid", gid);
    if (const char* networks = tabs::value_of(fields[i], "allow_nets")) writer.field("allow_nets", networks);
    if (mode != Mode::Credentials) continue;
    if (const char* password = tabs::value_of(fields[i], "password")) writer.field("password", password);
  }
  if (!writer.ok() || writer.size() == 0) fail("the answer of vmail-authd cannot be handed on");
  return writer.size();
}

void write_output(size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t wrote = write(kOutput, secrets.output + done, size - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail("descriptor 4: %s: is this run by Dovecot?", strerror(errno));
    done += static_cast<size_t>(wrote);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long long deadline = client::now_ms() + kDeadlineMs;
  signal(SIGPIPE, SIG_IGN);  // Dovecot may have given up and closed descriptor 4
  const Options options = parse_options(argc, argv);
  const Mode mode = mode_from_environment();

  const char* why = nullptr;
  const long got = client::read_strings(kInput, kInputStrings, secrets.input, kMaxInput, deadline, &why);
  if (got < 0) fail("descriptor 3: %s: is this run by Dovecot?", why);
  const size_t request_size = build_request(mode, static_cast<size_t>(got));

  const char* socket = mode == Mode::Credentials ? options.credentials_socket : options.socket;
  const long length =
      client::ask(socket, secrets.request, request_size, secrets.reply, protocol::kMaxLine, deadline, &why);
  if (length < 0) {
    fail("%.128s: %s (%s)", socket, why,
         mode == Mode::Credentials ? "credentials lookups are off unless auth.credentials in vmailkit.toml is set"
                                   : "is vmail-authd running?");
  }

  tabs::Field fields[protocol::kMaxFields];
  const auto answer = client::read_answer(secrets.reply, static_cast<size_t>(length), fields, protocol::kMaxFields);
  switch (answer.status) {
    case client::Answer::Ok:
      write_output(build_output(mode, fields, answer.fields));
      finish(mode == Mode::Verify ? 0 : 2);
    case client::Answer::No:
      finish(mode == Mode::Verify ? 1 : 3);
    case client::Answer::Temporary:
      break;
  }
  fail("temporary failure: %s", answer.reason);
}
