// libvmailkit.so: an auxiliary property plugin of Cyrus SASL (saslplug.h of 2.1.28), for programs with `auxprop_plugin:
// vmailkit`, such as Postfix with smtpd_sasl_type = cyrus: it gives the SCRAM-SHA-256 keys of a user, which
// plugins/scram.c of libsasl2 looks for in the property authPassword. It gives nothing else: to check a password that
// was sent, libsasl2 would want the plain one from here (its `auxprop-hashed` is not compiled in), so that is
// saslauthd's part.
//
// It is loaded into every process of that program, perhaps in a chroot: it links libc alone, keeps nothing, and asks at
// the socket that the option vmailkit_socket names.
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <string.h>

#include "dovecot-auth/client/answer.h"
#include "dovecot-auth/client/ask.h"
#include "dovecot-auth/verify/protocol.h"
#include "dovecot-auth/wire/sasl_keys.h"
#include "dovecot-auth/wire/tabs.h"

using namespace vmail::auth;

namespace {

constexpr long long kDeadlineMs = 8000;  // Postfix's clients wait longer, the daemon answers sooner
constexpr const char* kDefaultSocket = "/run/vmailkit/auth/keys";

const char* option(const sasl_utils_t* utils, const char* name, const char* otherwise) {
  const char* value = nullptr;
  if (utils->getopt(utils->getopt_context, "vmailkit", name, &value, nullptr) != SASL_OK) return otherwise;
  return value == nullptr || *value == '\0' ? otherwise : value;
}

// "address;port", as sasl_server_new() was told.
void put_address(tabs::Writer& writer, const char* address_and_port) {
  if (address_and_port == nullptr) return;
  const char* end = strchr(address_and_port, ';');
  if (end != nullptr) writer.field("rip", address_and_port, static_cast<size_t>(end - address_and_port));
}

// Dovecot's form, {SCRAM-SHA-256} and the keys, as libsasl2 has it. False when it is none, or there is no room.
bool to_property(const char* keys, char* property, size_t capacity) {
  constexpr const char* kScheme = "{SCRAM-SHA-256}";
  if (strncmp(keys, kScheme, strlen(kScheme)) != 0) return false;
  keys += strlen(kScheme);
  const size_t prefix = strlen(sasl_keys::kPrefix);
  if (prefix + strlen(keys) >= capacity) return false;
  strcpy(property, sasl_keys::kPrefix);
  strcpy(property + prefix, keys);
  return sasl_keys::convert(property + prefix);
}

int fail(const sasl_utils_t* utils, const char* what, const char* why) {
  utils->log(utils->conn, SASL_LOG_ERR, "vmailkit: %s: %s", what, why);
  return SASL_UNAVAIL;
}

// The keys of a user as a property, of which `property` has room for a line.
int fetch(sasl_server_params_t* params, const char* user, unsigned size, char* property) {
  char request[protocol::kMaxLine];
  char reply[protocol::kMaxLine + 1];
  tabs::Writer writer(request, sizeof request);
  writer.word(protocol::kCredentials);
  writer.field("user", user, size);
  writer.field("scheme", "SCRAM-SHA-256");
  if (params->service != nullptr) writer.field("service", params->service);
  put_address(writer, params->ipremoteport);
  writer.end_line();
  if (!writer.ok()) return SASL_NOUSER;

  const sasl_utils_t* utils = params->utils;
  const char* socket = option(utils, "vmailkit_socket", kDefaultSocket);
  const char* why = nullptr;
  const long length =
      client::ask(socket, request, writer.size(), reply, protocol::kMaxLine, client::now_ms() + kDeadlineMs, &why);
  if (length < 0) return fail(utils, socket, why);
  tabs::Field fields[protocol::kMaxFields];
  const auto answer = client::read_answer(reply, static_cast<size_t>(length), fields, protocol::kMaxFields);
  if (answer.status == client::Answer::No) return SASL_NOUSER;
  if (answer.status != client::Answer::Ok) return fail(utils, "temporary failure", answer.reason);
  bool good = false, elsewhere = false;
  for (size_t i = 1; i < answer.fields; ++i) {
    if (const char* keys = tabs::value_of(fields[i], "password")) {
      good = to_property(keys, property, protocol::kMaxLine);
    }
    // Where the client is the daemon was not told, so that it has left the networks to whoever asked.
    const char* networks = tabs::value_of(fields[i], "allow_nets");
    if (networks != nullptr && *networks != '\0' && params->ipremoteport == nullptr) elsewhere = true;
  }
  explicit_bzero(reply, sizeof reply);
  return good && !elsewhere ? SASL_OK : SASL_NOUSER;
}

int look_up(void*, sasl_server_params_t* params, unsigned flags, const char* user, unsigned size) {
  // Nothing is known here of whom a user acts as.
  if ((flags & SASL_AUXPROP_AUTHZID) != 0) return SASL_OK;
  const sasl_utils_t* utils = params->utils;
  const propval* wanted = utils->prop_get(params->propctx);
  for (; wanted != nullptr && wanted->name != nullptr; ++wanted) {
    if (strcmp(wanted->name, sasl_keys::kProperty) != 0 || (wanted->values != nullptr && wanted->values[0] != nullptr))
      continue;
    char property[protocol::kMaxLine];
    int result = fetch(params, user, size, property);
    if (result == SASL_OK) result = utils->prop_set(params->propctx, sasl_keys::kProperty, property, -1);
    explicit_bzero(property, sizeof property);
    return result;
  }
  return SASL_NOUSER;
}

char plugin_name[] = "vmailkit";
sasl_auxprop_plug_t plugin = {0, 0, nullptr, nullptr, look_up, plugin_name, nullptr};

}  // namespace

extern "C" __attribute__((visibility("default"))) int sasl_auxprop_plug_init(const sasl_utils_t* utils, int max_version,
                                                                             int* version, sasl_auxprop_plug_t** plug,
                                                                             const char*) {
  if (utils == nullptr || version == nullptr || plug == nullptr) return SASL_BADPARAM;
  if (max_version < SASL_AUXPROP_PLUG_VERSION) return SASL_BADVERS;
  *version = SASL_AUXPROP_PLUG_VERSION;
  *plug = &plugin;
  return SASL_OK;
}
