#include "dovecot-auth/service.h"

#include <algorithm>
#include <thread>

#include "dovecot-auth/master/session.h"
#include "dovecot-auth/postfix/session.h"
#include "dovecot-auth/sasl/mechanism.h"
#include "dovecot-auth/saslauthd/session.h"
#include "shared/config/config.h"
#include "shared/config/secret_file.h"
#include "shared/directory/control.h"
#include "shared/runtime/log.h"

namespace vmail::auth {
namespace {

directory::Options directory_options(const config::Settings& settings) {
  directory::Options options;
  options.database_user = settings.auth.database_user;
  options.database_password = config::read_secret("database-password", settings.auth.database_password_file);
  options.state_folder = settings.auth.state;
  options.rules = true;
  return options;
}

Outcome<directory::Mailbox> mailbox_of(const Outcome<directory::Credentials>& credentials) {
  using Mailbox = Outcome<directory::Mailbox>;
  return credentials.is_found() ? Mailbox::found(credentials.value().mailbox) : Mailbox::without_value(credentials);
}

constexpr std::size_t kBackgroundQueue = 64;

std::size_t hash_threads(const config::Settings::Auth& settings) {
  if (settings.hash_threads > 0) return settings.hash_threads;
  return std::max(1u, std::thread::hardware_concurrency());
}

std::vector<uid_t> credentials_peers(const config::Settings::Auth& settings) {
  std::vector<uid_t> uids;
  for (const auto& peer : settings.credentials_peers) uids.push_back(user_id("auth.credentials_peers", peer));
  if (uids.empty() && !settings.credentials.empty()) {
    throw config::SettingError("auth.credentials_peers",
                               "name the users that may read password hashes, or leave auth.credentials empty");
  }
  return uids;
}

// Throws config::Error for one that this host cannot do.
void check_mechanisms(const config::Settings::Auth& settings) {
  for (const auto& name : settings.mechanisms) {
    const std::string why = sasl::why_unavailable(name);
    if (!why.empty()) throw config::SettingError("auth.mechanisms", why);
  }
}

// Without an endpoint there need be none.
Secret policy_token(const config::Settings::Auth& settings) {
  if (settings.policy_http.empty()) return Secret();
  return config::read_secret("policy-token", settings.policy_token_file);
}

}  // namespace

void check_settings(const config::Settings& settings) {
  const Accounts accounts(settings.mailboxes);
  check_mechanisms(settings.auth);
  policy_token(settings.auth);
  credentials_peers(settings.auth);
  config::read_secret("database-password", settings.auth.database_password_file);
}

AuthService::AuthService(Loop& loop, const config::Settings& settings)
    : settings_(settings),
      accounts_(settings.mailboxes),
      directory_(loop, clock_, settings, directory_options(settings)),
      hashes_(loop, clock_, hash_threads(settings.auth), settings.auth.hash_queue),
      background_("background", 1, kBackgroundQueue),
      locked_(settings.auth.state),
      throttle_(loop, clock_, background_, settings.throttle, settings.auth.state),
      logins_({loop, clock_, questions_, hashes_, background_, throttle_.throttle(), locked_}, settings),
      services_{logins_, questions_, accounts_, locked_, clock_},
      policy_token_(policy_token(settings.auth)) {
  check_mechanisms(settings.auth);
  questions_.credentials = [this](std::string_view login, directory::Freshness freshness,
                                  directory::Later<directory::Credentials> later) {
    return directory_.credentials(login, freshness, std::move(later));
  };
  questions_.mailbox = [this](std::string_view address, directory::Later<directory::Mailbox> later) {
    return mailbox(address, std::move(later));
  };
  questions_.note_use = [this](std::uint64_t app_password, std::string ip) {
    directory_.note_use(app_password, std::move(ip));
  };
  questions_.replace_hash = [this](std::string login, Secret before, Secret after) {
    directory_.replace_hash(std::move(login), std::move(before), std::move(after));
  };
  questions_.keep_scram = [this](std::string login, Secret hash, Secret scram) {
    directory_.keep_scram(std::move(login), std::move(hash), std::move(scram));
  };
  questions_.mailboxes = [this](std::uint64_t after, directory::Later<directory::MailboxPage> later) {
    directory_.mailboxes(after, std::move(later));
  };
  throttling_.why_not = [this](const policy::Question& question) -> std::optional<std::string> {
    if (locked_.contains(question.login)) return "the login is locked on this host";
    auto ruling = logins_.throttle().rule(question.login, question.remote_ip, clock_.now());
    if (ruling.what != Throttle::Ruling::What::Stop) return std::nullopt;
    return std::move(ruling.why);
  };
  throttling_.report = [this](const policy::Question& question) {
    if (question.refused_by_policy || question.trouble) return;
    Throttle& throttle = logins_.throttle();
    if (question.success) return throttle.succeeded(question.login, question.remote_ip, clock_.now());
    throttle.failed(question.login, question.remote_ip, question.password_hash, clock_.now());
  };
}

// Dovecot refuses mail for good on a "no", so a "no" has to be fresh. Who gets no new mail (a rule of kind `state`)
// still logs in, and Dovecot then asks who that is.
directory::Answer<directory::Mailbox> AuthService::mailbox(std::string_view address,
                                                           directory::Later<directory::Mailbox> later) {
  using directory::Freshness;
  const auto shared = std::make_shared<directory::Later<directory::Mailbox>>(std::move(later));
  const auto go_on = [this, shared, address = std::string(address)](
                         const Outcome<directory::Mailbox>& found) -> directory::Answer<directory::Mailbox> {
    if (found.status() != Status::Disabled) return found;
    const auto known = directory_.credentials(
        address, Freshness::Cached,
        [shared](const Outcome<directory::Credentials>& credentials) { (*shared)(mailbox_of(credentials)); });
    if (!known) return std::nullopt;
    return mailbox_of(*known);
  };
  const auto known = directory_.mailbox(address, Freshness::FreshForRefusal,
                                        [go_on, shared](const Outcome<directory::Mailbox>& found) {
                                          if (auto answer = go_on(found)) (*shared)(std::move(*answer));
                                        });
  if (!known) return std::nullopt;
  return go_on(*known);
}

std::vector<daemon::Endpoint> AuthService::endpoints() {
  const auto verify_endpoint = [this](const char* name, const std::string& path, verify::Scope scope) {
    daemon::Endpoint endpoint;
    endpoint.name = name;
    if (!path.empty()) endpoint.listen = {"unix:" + path};
    endpoint.max_connections = settings_.auth.max_connections;
    endpoint.open = [this, scope](Channel& channel) {
      return std::make_shared<verify::VerifySession>(channel, services_, scope);
    };
    return endpoint;
  };

  daemon::Endpoint auth;
  auth.name = "auth";
  auth.listen = settings_.auth.listen;
  auth.networks = settings_.auth.networks;
  auth.max_connections = settings_.auth.max_connections;
  auth.open = [this](Channel& channel) {
    return std::make_shared<postfix::AuthSession>(channel, logins_, settings_.auth.mechanisms, ++connections_);
  };

  // Its peers are told by their uid, whatever groups they are in, so that its mode lets everybody knock.
  daemon::Endpoint credentials = verify_endpoint("credentials", settings_.auth.credentials, verify::Scope::Credentials);
  credentials.mode = 0666;
  credentials.admit = [peers = credentials_peers(settings_.auth)](const Peer& peer) {
    return peer.local && std::find(peers.begin(), peers.end(), peer.uid) != peers.end();
  };

  daemon::Endpoint userdb;
  userdb.name = "userdb";
  if (!settings_.auth.userdb.empty()) userdb.listen = {"unix:" + settings_.auth.userdb};
  userdb.max_connections = settings_.auth.max_connections;
  userdb.open = [this](Channel& channel) {
    return std::make_shared<master::MasterSession>(channel, questions_, accounts_);
  };

  daemon::Endpoint mux;
  mux.name = "mux";
  if (!settings_.auth.mux.empty()) mux.listen = {"unix:" + settings_.auth.mux};
  mux.max_connections = settings_.auth.max_connections;
  mux.open = [this](Channel& channel) { return std::make_shared<saslauthd::MuxSession>(channel, logins_); };

  daemon::Endpoint keys = verify_endpoint("keys", settings_.auth.keys, verify::Scope::Keys);

  daemon::Endpoint policy;
  policy.name = "policy-http";
  policy.listen = settings_.auth.policy_http;
  policy.max_connections = settings_.auth.max_connections;
  policy.open = [this](Channel& channel) { return policy::open_session(channel, policy_token_, throttling_); };

  return {std::move(userdb),     std::move(mux),
          std::move(keys),       std::move(policy),
          std::move(auth),       verify_endpoint("verify", settings_.auth.verify, verify::Scope::Verify),
          std::move(credentials)};
}

void AuthService::reload(const config::Settings& settings) {
  accounts_ = Accounts(settings.mailboxes);
  logins_.reload(settings);
  throttle_.reload(settings.throttle);
  directory_.reload(settings);
  const auto& before = settings_.auth;
  const auto& after = settings.auth;
  if (before.listen != after.listen || before.networks != after.networks || before.verify != after.verify ||
      before.credentials != after.credentials || before.credentials_peers != after.credentials_peers ||
      before.max_connections != after.max_connections || before.hash_threads != after.hash_threads ||
      before.hash_queue != after.hash_queue || before.mechanisms != after.mechanisms ||
      before.policy_http != after.policy_http || before.policy_token_file != after.policy_token_file ||
      before.userdb != after.userdb || before.mux != after.mux || before.keys != after.keys) {
    log::warning("settings of [auth] have changed; they take effect when vmail-authd is restarted");
  }
}

void AuthService::metrics(metrics::Registry& registry) {
  directory::add_metrics(directory_, registry);
  logins_.metrics(registry);
  throttle_.metrics(registry);
  registry.collect([this](metrics::Samples& samples) {
    samples.gauge("vmailkit_logins_waiting", "Logins that wait for their hash.",
                  static_cast<double>(hashes_.waiting()));
    samples.gauge("vmailkit_logins_locked", "Logins that are locked on this host.",
                  static_cast<double>(locked_.size()));
  });
}

nlohmann::json AuthService::control(const nlohmann::json& request) {
  if (auto reply = throttle_.answer_control(request)) return *reply;
  if (auto reply = locked_.answer_control(request)) {
    // Whatever is in memory of the login was right for another who knew its password.
    if (request.at("command") == "lock") {
      const auto address = request.at("address").get<std::string>();
      logins_.forget(address);
      directory_.flush({address});
    }
    return *reply;
  }
  if (auto reply = directory::answer_control(directory_, request)) {
    if (request.at("command") == "status") (*reply)["queues"] = {{"hashes", hashes_.waiting()}};
    return *reply;
  }
  return {{"error", "vmail-authd does not know that command; are vmailctl and the daemon of one version?"}};
}

// {"command": "auth-test", "user", "password", "service", "ip"}
bool AuthService::control_later(const nlohmann::json& request, daemon::ControlReply& reply) {
  if (request.at("command") != "auth-test") return false;
  Attempt attempt;
  attempt.user = request.at("user").get<std::string>();
  attempt.password = Secret(request.at("password").get_ref<const std::string&>());
  attempt.service = request.value("service", "");
  attempt.remote_ip = request.value("ip", "");
  logins_.explain(std::move(attempt), [reply = std::move(reply)](const Explanation& explanation) mutable {
    nlohmann::json lines = nlohmann::json::array();
    for (const auto& step : explanation.steps) {
      lines.push_back((step.good ? "[good] " : "[stop] ") + step.what + ": " + step.text);
    }
    const auto& outcome = explanation.outcome;
    reply({{"result", outcome.is_found()       ? "ok"
                      : outcome.is_temp_fail() ? "tempfail"
                                               : "failed"},
           {"reason", explanation.reason},
           {"user", outcome.is_found() ? outcome.value().address() : ""},
           {"explanation", std::move(lines)}});
  });
  return true;
}

// The directory first: what it still answers may go to the hash pool, never the other way round.
void AuthService::stop() {
  directory_.stop();
  hashes_.stop();
  background_.stop();
  throttle_.stop();
}

}  // namespace vmail::auth
