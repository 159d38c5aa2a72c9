// vmail-lmtpd: takes mail from Postfix over LMTP and files it into Maildirs.
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "dovecot-lmtp-store/local_backend.h"
#include "dovecot-lmtp-store/session.h"
#include "dovecot-lmtp-store/sweep.h"
#include "dovecot-lmtp-store/usage.h"
#include "shared/base/text.h"
#include "shared/config/config.h"
#include "shared/config/secret_file.h"
#include "shared/daemon/daemon.h"
#include "shared/directory/control.h"
#include "shared/runtime/log.h"

namespace {

using namespace vmail;

Secret database_password(const config::Settings& settings) {
  return config::read_secret("database-password", settings.store.database_password_file);
}

maildir::Layout layout(const config::Settings& settings) {
  std::string why;
  const auto layout = maildir::Layout::parse(settings.mailboxes.path, why);
  if (!layout) throw config::SettingError("mailboxes.path", '"' + settings.mailboxes.path + "\": " + why);
  return *layout;
}

uid_t owner(const config::Settings& settings) {
  const std::string& name = settings.mailboxes.owner;
  if (const auto number = parse_number(name)) return static_cast<uid_t>(*number);
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) {
    throw config::SettingError("mailboxes.owner",
                               "there is no user \"" + name + "\": make it, or name the owner of the mail");
  }
  return entry->pw_uid;
}

std::shared_ptr<const TlsContext> tls(const config::Settings& settings) {
  const std::string &certificate = settings.store.tls_certificate, &key = settings.store.tls_key;
  if (certificate.empty() != key.empty()) {
    throw certificate.empty() ? config::SettingError("store.tls_key", "does not work without store.tls_certificate")
                              : config::SettingError("store.tls_certificate", "does not work without store.tls_key");
  }
  if (certificate.empty()) return nullptr;
  try {
    return std::make_shared<const TlsContext>(certificate, key);
  } catch (const TlsError& error) {
    // It begins with the file that it is about.
    const std::string what = error.what();
    throw config::SettingError(what.starts_with(key + ':') ? "store.tls_key" : "store.tls_certificate", what);
  }
}

void check(const config::Settings& settings) {
  database_password(settings);
  layout(settings);
  owner(settings);
  tls(settings);
  store::filing_from(settings);
}

// Mail that Dovecot's user cannot read would be as good as lost.
void check_user(const config::Settings& settings) {
  const uid_t uid = owner(settings);
  if (uid == ::geteuid()) return;
  throw config::SettingError("mailboxes.owner", "is " + settings.mailboxes.owner + " (uid " + std::to_string(uid) +
                                                    "), but vmail-lmtpd was started as uid " +
                                                    std::to_string(::geteuid()) +
                                                    ": set User= of its unit to the owner of the mail");
}

std::string hostname(const config::Settings& settings) {
  if (!settings.store.hostname.empty()) return settings.store.hostname;
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

store::Durability durability(const config::Settings& settings) {
  const std::string& word = settings.store.durability;
  if (word == "none") return store::Durability::None;
  return word == "file" ? store::Durability::File : store::Durability::Full;
}

store::DeliverySettings delivery_settings(const config::Settings& settings) {
  store::DeliverySettings delivery;
  delivery.base = {settings.mailboxes.base, settings.mailboxes.marker};
  delivery.hostname = hostname(settings);
  if (settings.store.single_instance == "reflink") delivery.single_instance = store::SingleInstance::Reflink;
  if (settings.store.single_instance == "hardlink") delivery.single_instance = store::SingleInstance::Hardlink;
  delivery.reserve = {settings.store.reserve_space.count, settings.store.reserve_inodes};
  return delivery;
}

// Of the usage socket; vmail-mapd makes a few.
constexpr std::size_t kUsageConnections = 64;

class StoreService final : public daemon::Service {
 public:
  StoreService(Loop& loop, const config::Settings& settings)
      : settings_(settings),
        directory_(loop, clock_, settings,
                   {settings.store.database_user, database_password(settings), settings.store.state, true}),
        commit_(files_, clock_, settings.mailboxes.base, durability(settings)),
        delivery_(files_, clock_, commit_, quota_, duplicates_, delivery_settings(settings),
                  store::filing_from(settings)),
        // Room for all that the sessions may ask at a time: one spool write, one recipient or 16 deliveries each, one
        // question of usage.
        disk_("disk", settings.store.disk_threads, settings.store.max_connections * 16 + kUsageConnections),
        jobs_(loop, disk_),
        notifier_(loop, clock_, settings.policy.notify_smtp, hostname(settings)),
        recipients_(loop, clock_, directory_, jobs_, quota_, settings, layout(settings),
                    [this](std::uint64_t size) { return delivery_.ready(size); }),
        hand_over_(settings.store.sieve_socket.empty()
                       ? nullptr
                       : std::make_unique<store::HandOver>(loop, settings.store.sieve_socket, hostname(settings))),
        backend_(loop, recipients_, delivery_, jobs_, duplicates_, warnings_, hand_over_.get()),
        usages_(loop, disk_, usage_reader_, settings.mailboxes.base, layout(settings)) {
    check_user(settings);
    reload_sessions(settings);
    sweep(settings);
  }

  std::vector<daemon::Endpoint> endpoints() override {
    daemon::Endpoint endpoint;
    endpoint.name = "lmtp";
    endpoint.listen = settings_.store.listen;
    endpoint.networks = settings_.store.networks;
    endpoint.max_connections = settings_.store.max_connections;
    endpoint.open = [this](Channel& channel) {
      return std::make_shared<store::LmtpSession>(channel, backend_, clock_, session_settings_);
    };

    daemon::Endpoint usage;
    usage.name = "usage";
    if (!settings_.store.usage.empty()) usage.listen = {"unix:" + settings_.store.usage};
    usage.max_connections = kUsageConnections;
    usage.open = [this](Channel& channel) { return std::make_shared<store::UsageSession>(channel, usages_); };
    return {std::move(endpoint), std::move(usage)};
  }

  void reload(const config::Settings& settings) override {
    directory_.reload(settings);
    reload_sessions(settings);
    config::Settings known = settings;
    known.store.sieve_socket = settings_.store.sieve_socket;
    recipients_.reload(known, layout(settings));
    warnings_.reload(settings.store.quota_warnings);
    usages_.reload(layout(settings));
    delivery_.reload(store::filing_from(settings));
    if (settings.mailboxes.base != settings_.mailboxes.base) {
      log::warning("mailboxes.base stays {} until vmail-lmtpd is restarted", settings_.mailboxes.base);
    }
    if (settings.store.sieve_socket != settings_.store.sieve_socket) {
      log::warning("store.sieve_socket stays \"{}\" until vmail-lmtpd is restarted", settings_.store.sieve_socket);
    }
    const auto of_start = [](const config::Settings& s) {
      return std::tie(s.mailboxes.marker, s.store.durability, s.store.single_instance, s.store.reserve_space.count,
                      s.store.reserve_inodes, s.store.disk_threads);
    };
    if (of_start(settings) != of_start(settings_)) {
      log::warning(
          "mailboxes.marker and the store's durability, single_instance, reserve_* and disk_threads stay as they are "
          "until vmail-lmtpd is restarted");
    }
  }

  nlohmann::json control(const nlohmann::json& request) override {
    // Whom nobody lets in still gets mail.
    if (request.at("command") == "lock" || request.at("command") == "unlock") return {{"ok", true}};
    if (auto reply = directory::answer_control(directory_, request)) {
      const auto command = request.value("command", "");
      if (command == "flush") delivery_.forget();
      if (command == "status") {
        (*reply)["queues"] = {{"disk", disk_.waiting()}};
        if (hand_over_) (*reply)["queues"]["sieve"] = hand_over_->waiting();
      }
      return *reply;
    }
    return {{"error", "vmail-lmtpd does not know that command; are vmailctl and the daemon of one version?"}};
  }

  void metrics(metrics::Registry& registry) override {
    directory::add_metrics(directory_, registry);
    registry.collect([this](metrics::Samples& samples) {
      const auto counts = commit_.counts();
      samples.counter("vmailkit_store_barriers_total", "Syncs of the whole file system of the mail.", counts.barriers);
      samples.counter("vmailkit_store_shared_syncs_total", "Syncs of deliveries that these stood for.", counts.shared);
      samples.counter("vmailkit_store_single_syncs_total", "Syncs of deliveries by themselves.", counts.alone);
      samples.counter("vmailkit_store_sync_errors_total", "Syncs of either kind that failed.", counts.errors);
      samples.gauge("vmailkit_store_disk_jobs_waiting", "Jobs that wait for a disk thread.",
                    static_cast<double>(disk_.waiting()));
    });
  }

  void stop() override {
    directory_.stop();
    if (hand_over_) hand_over_->stop();
    notifier_.stop();
    disk_.stop();
  }

 private:
  void reload_sessions(const config::Settings& settings) {
    store::SessionSettings made;
    made.hostname = hostname(settings);
    made.message_size_limit = settings.store.message_size_limit.count;
    made.max_recipients = static_cast<std::size_t>(settings.store.max_recipients);
    made.bare_lf = settings.store.bare_lf == "keep";
    made.xforward = Networks(settings.store.xforward_networks);
    made.tls = tls(settings);
    session_settings_ = std::make_shared<const store::SessionSettings>(std::move(made));
  }

  void sweep(const config::Settings& settings) {
    const bool taken = disk_.submit(
        [this, base = settings.mailboxes.base, depth = layout(settings).depth(), started = clock_.wall()](std::size_t) {
          const std::size_t removed = store::sweep(files_, delivery_.names(), base, depth, started);
          if (removed > 0) log::info("removed {} unfinished files of an earlier run below {}", removed, base);
        });
    if (!taken) log::warning("no look for unfinished files of an earlier run: the disk workers do not start");
  }

  const config::Settings settings_;  // of the start: listeners and the base do not change while we run
  SystemClock clock_;
  maildir::RealFiles files_;
  directory::Directory directory_;
  store::CommitGroup commit_;
  maildir::Quota quota_{files_, clock_};
  store::Duplicates duplicates_{clock_};
  store::Delivery delivery_;
  WorkerPool disk_;
  store::MailboxJobs jobs_;
  Notifier notifier_;
  store::QuotaWarnings warnings_{notifier_, settings_.store.quota_warnings};
  store::Recipients recipients_;
  std::unique_ptr<store::HandOver> hand_over_;
  store::LocalBackend backend_;
  maildir::UsageReader usage_reader_{files_, clock_};
  store::Usages usages_;
  std::shared_ptr<const store::SessionSettings> session_settings_;
};

}  // namespace

int main(int argc, char** argv) {
  daemon::Program program;
  program.name = "vmail-lmtpd";
  program.summary = "Takes mail over LMTP and files it into Maildirs";
  program.control_path = [](const config::Settings& settings) { return settings.store.control; };
  program.metrics = [](const config::Settings& settings) { return settings.store.metrics; };
  program.make = [](Loop& loop, const config::Settings& settings) {
    return std::make_unique<StoreService>(loop, settings);
  };
  program.check = check;
  return daemon::run(argc, argv, program);
}
