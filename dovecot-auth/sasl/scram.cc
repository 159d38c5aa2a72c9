#include "dovecot-auth/sasl/scram.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include <array>
#include <cstring>

#include "dovecot-auth/wire/sasl_keys.h"
#include "shared/base/base64.h"
#include "shared/base/seeded_hash.h"
#include "shared/password/scram.h"

namespace vmail::auth::sasl {
namespace {

constexpr const char* kName = "SCRAM-SHA-256";
constexpr const char* kPlugin = "vmailkit";  // ours, that supplies the keys

// The keys of the exchange that libsasl2 is at work on, in its own form.
const std::string* present_keys = nullptr;

class PresentKeys {
 public:
  explicit PresentKeys(const std::string& keys) { present_keys = &keys; }
  ~PresentKeys() { present_keys = nullptr; }
  PresentKeys(const PresentKeys&) = delete;
  PresentKeys& operator=(const PresentKeys&) = delete;
};

int look_up(void*, sasl_server_params_t* params, unsigned flags, const char*, unsigned) {
  if ((flags & SASL_AUXPROP_AUTHZID) != 0 || present_keys == nullptr) return SASL_OK;
  return params->utils->prop_set(params->propctx, sasl_keys::kProperty, present_keys->data(),
                                 static_cast<int>(present_keys->size()));
}

int begin_plugin(const sasl_utils_t*, int, int* version, sasl_auxprop_plug_t** plugin, const char*) {
  static std::string name = kPlugin;
  static sasl_auxprop_plug_t ours{};
  ours.name = name.data();
  ours.auxprop_lookup = look_up;
  *version = SASL_AUXPROP_PLUG_VERSION;
  *plugin = &ours;
  return SASL_OK;
}

int option(void*, const char*, const char* name, const char** value, unsigned* length) {
  static constexpr std::array<std::array<const char*, 2>, 3> kOptions = {
      {{"mech_list", kName}, {"auxprop_plugin", kPlugin}, {"pwcheck_method", "auxprop"}}};
  for (const auto& [key, text] : kOptions) {
    if (std::strcmp(name, key) != 0) continue;
    *value = text;
    if (length != nullptr) *length = static_cast<unsigned>(std::strlen(text));
    return SASL_OK;
  }
  return SASL_FAIL;
}

// What goes wrong is told by the results.
int no_log(void*, int, const char*) {
  return SASL_OK;
}

// Of all that lies in the folder of its plugins, and of its configuration.
int may_load(void*, const char* file, sasl_verify_type_t type) {
  if (type != SASL_VRFY_PLUGIN) return SASL_CONTINUE;
  const std::string_view path = file;
  return path.substr(path.rfind('/') + 1).starts_with("libscram.") ? SASL_OK : SASL_CONTINUE;
}

// By way of the one type that compilers take for any function's.
template <class Function>
sasl_callback_t callback(unsigned long id, Function* function) {
  return {id, reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(function)), nullptr};
}

// libsasl2 in this process; it is begun once, and ends with it.
struct Library {
  Library() {
    static const sasl_callback_t callbacks[] = {callback(SASL_CB_GETOPT, option),
                                                callback(SASL_CB_LOG, no_log),
                                                callback(SASL_CB_VERIFYFILE, may_load),
                                                {SASL_CB_LIST_END, nullptr, nullptr}};
    if (sasl_server_init(callbacks, "vmail-authd") != SASL_OK ||
        sasl_auxprop_add_plugin(kPlugin, begin_plugin) != SASL_OK) {
      why_not = "libsasl2 cannot be begun";
      return;
    }
    const char** names = sasl_global_listmech();
    for (; names != nullptr && *names != nullptr; ++names) {
      if (std::strcmp(*names, kName) == 0) return;
    }
    why_not = "libsasl2 has no SCRAM-SHA-256 on this host (package libsasl2-modules)";
  }
  std::string why_not;
};

const Library& library() {
  static const Library library;
  return library;
}

std::string to_property(const Secret& stored) {
  std::string property;
  property.reserve(std::strlen(sasl_keys::kPrefix) + stored.view().size());
  property.append(sasl_keys::kPrefix).append(stored.view());
  sasl_keys::convert(property.data());
  return property;
}

// For a user who has no keys: the same ones each time, so that nobody can tell. No password leads to them.
std::string keys_of_nobody(const std::string& user) {
  static const HashKey key = random_hash_key();
  const auto bytes = [&](char kind, std::size_t size) {
    std::string text;
    for (char i = 0; text.size() < size; ++i) {
      const auto word = siphash(key, user + kind + i);
      text.append(reinterpret_cast<const char*>(&word), sizeof word);
    }
    return base64_encode(text.substr(0, size));
  };
  return "4096," + bytes('s', 16) + ',' + bytes('k', 32) + ',' + bytes('v', 32);
}

// The user of a client's first message: gs2-header, then "n=" saslname "," (RFC 5802 section 7). Nothing when it is not
// one, or when the client wants to act as somebody else.
std::string user_of(std::string_view message) {
  const auto flag_end = message.find(',');
  const auto header_end = flag_end == std::string_view::npos ? flag_end : message.find(',', flag_end + 1);
  if (header_end == std::string_view::npos || header_end != flag_end + 1) return {};
  // A client that binds to the channel wants SCRAM-SHA-256-PLUS, for which Postfix tells us nothing of its channel.
  if (message.substr(0, flag_end) != "n" && message.substr(0, flag_end) != "y") return {};
  message.remove_prefix(header_end + 1);
  if (!message.starts_with("n=")) return {};
  message = message.substr(2, message.find(',') - 2);
  std::string user;
  while (!message.empty()) {
    if (message.front() != '=') {
      user += message.front();
      message.remove_prefix(1);
      continue;
    }
    if (!message.starts_with("=2C") && !message.starts_with("=3D")) return {};
    user += message[1] == '2' ? ',' : '=';
    message.remove_prefix(3);
  }
  return user;
}

class Scram final : public Mechanism {
 public:
  ~Scram() override {
    sasl_dispose(&connection_);
    wipe(keys_);
  }

  Step start(std::optional<std::string_view> initial) override {
    if (!initial || initial->empty()) return Challenge{};
    return respond(*initial);
  }

  Step respond(std::string_view response) override {
    if (connection_ == nullptr) {
      first_ = response;
      user_ = user_of(response);
      if (user_.empty()) return Invalid{{}, "the mail program sent a SCRAM message that is not one"};
      return NeedKeys{user_};
    }
    return take(run([&](const char** out, unsigned* size) {
      return sasl_server_step(connection_, response.data(), static_cast<unsigned>(response.size()), out, size);
    }));
  }

  Step resume(const Secret* keys) override {
    if (keys != nullptr && !password::parse_scram_sha256(keys->view())) {
      return Trouble{user_, "the stored SCRAM keys are none: they are iterations,salt,StoredKey,ServerKey"};
    }
    keys_ = to_property(keys == nullptr ? Secret(keys_of_nobody(user_)) : keys->copy());
    if (sasl_server_new("smtp", "localhost", nullptr, nullptr, nullptr, nullptr, 0, &connection_) != SASL_OK) {
      return Trouble{user_, "libsasl2 has no memory"};
    }
    const auto result = run([&](const char** out, unsigned* size) {
      return sasl_server_start(connection_, kName, first_.data(), static_cast<unsigned>(first_.size()), out, size);
    });
    if (result == SASL_CONTINUE) return Challenge{challenge_};
    if (result == SASL_BADPROT || result == SASL_BADAUTH) {
      return Invalid{user_, "the mail program sent a SCRAM message that is not one"};
    }
    return Trouble{user_, std::string("libsasl2: ") + sasl_errstring(result, nullptr, nullptr)};
  }

 private:
  // A step of libsasl2 with the keys at hand; what the client is to be sent is in challenge_.
  template <class Function>
  int run(Function step) {
    const PresentKeys present(keys_);
    const char* out = nullptr;
    unsigned size = 0;
    const int result = step(&out, &size);
    challenge_ = out == nullptr ? std::string() : std::string(out, size);
    return result;
  }

  // After the client's proof, libsasl2 goes on with its own, and is done when the client has nothing to say to that.
  Step take(int result) {
    if (result == SASL_CONTINUE) return Challenge{challenge_};
    return Proven{user_, result == SASL_OK};
  }

  sasl_conn_t* connection_ = nullptr;
  std::string first_;
  std::string user_;
  std::string keys_;
  std::string challenge_;
};

}  // namespace

std::string why_no_scram() {
  return library().why_not;
}

std::unique_ptr<Mechanism> make_scram() {
  return std::make_unique<Scram>();
}

}  // namespace vmail::auth::sasl
