// libvmailkit.so: an auxiliary property plugin of Cyrus SASL (saslplug.h of 2.1.28), for programs with `pwcheck_method:
// auxprop-hashed` and `auxprop_plugin: vmailkit`, such as Postfix with smtpd_sasl_type = cyrus. libsasl2 then sets the
// password that a client sent as the user's, and asks whether it is one (SASL_AUXPROP_VERIFY_AGAINST_HASH): vmail-authd
// says so. Passwords and hashes are never given out.
//
// It is loaded into every process of that program, perhaps in a chroot: it links libc alone, keeps nothing, and asks at
// the socket that the option vmailkit_socket names.
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <string.h>

#include "dovecot-auth/client/answer.h"
#include "dovecot-auth/client/ask.h"
#include "dovecot-auth/verify/protocol.h"
#include "dovecot-auth/wire/tabs.h"

using namespace vmail::auth;

namespace {

constexpr long long kDeadlineMs = 8000;  // Postfix's clients wait longer, the daemon answers sooner
constexpr const char* kDefaultSocket = "/run/vmailkit/auth/verify";

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

// What libsasl2 is told about this password.
int verify(sasl_server_params_t* params, const char* user, unsigned size, const char* password) {
  char request[protocol::kMaxLine];
  char reply[protocol::kMaxLine + 1];
  tabs::Writer writer(request, sizeof request);
  writer.word(protocol::kVerify);
  writer.field("user", user, size);
  writer.field("password", password);
  if (params->service != nullptr) writer.field("service", params->service);
  put_address(writer, params->ipremoteport);
  writer.end_line();
  if (!writer.ok()) return SASL_BADAUTH;

  const sasl_utils_t* utils = params->utils;
  const char* socket = option(utils, "vmailkit_socket", kDefaultSocket);
  const char* why = nullptr;
  const long length =
      client::ask(socket, request, writer.size(), reply, protocol::kMaxLine, client::now_ms() + kDeadlineMs, &why);
  explicit_bzero(request, sizeof request);
  if (length < 0) {
    utils->log(utils->conn, SASL_LOG_ERR, "vmailkit: %s: %s (is vmail-authd running?)", socket, why);
    return SASL_UNAVAIL;
  }
  tabs::Field fields[protocol::kMaxFields];
  const auto answer = client::read_answer(reply, static_cast<size_t>(length), fields, protocol::kMaxFields);
  if (answer.status == client::Answer::Ok) return SASL_OK;
  if (answer.status == client::Answer::No) return SASL_BADAUTH;
  utils->log(utils->conn, SASL_LOG_ERR, "vmailkit: temporary failure: %s", answer.reason);
  return SASL_UNAVAIL;
}

int look_up(void*, sasl_server_params_t* params, unsigned flags, const char* user, unsigned size) {
  // Nothing is known here of whom a user acts as, and nothing is given out.
  if ((flags & SASL_AUXPROP_AUTHZID) != 0) return SASL_OK;
  if ((flags & SASL_AUXPROP_VERIFY_AGAINST_HASH) == 0) return SASL_NOUSER;
  const sasl_utils_t* utils = params->utils;
  const propval* wanted = utils->prop_get(params->propctx);
  for (; wanted != nullptr && wanted->name != nullptr; ++wanted) {
    if (strcmp(wanted->name, SASL_AUX_PASSWORD) != 0 || wanted->values == nullptr || wanted->values[0] == nullptr) {
      continue;
    }
    const int result = verify(params, user, size, wanted->values[0]);
    // A password that still stands there afterwards is a right one.
    if (result != SASL_OK) utils->prop_erase(params->propctx, wanted->name);
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
