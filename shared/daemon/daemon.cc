#include "shared/daemon/daemon.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <asio/signal_set.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "shared/config/config.h"
#include "shared/daemon/control_session.h"
#include "shared/daemon/listener.h"
#include "shared/daemon/metrics_session.h"
#include "shared/runtime/log.h"

namespace vmail::daemon {
namespace {

constexpr int kExitConfig = 78;  // EX_CONFIG
// Longer than any deadline of a question; systemd's own patience (TimeoutStopSec=) is longer still.
constexpr auto kDrainDeadline = std::chrono::seconds(15);

using Inherited = std::multimap<std::string, int>;

// What systemd handed over, by FileDescriptorName= (sd_listen_fds(3)).
Inherited inherited_sockets() {
  Inherited sockets;
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  for (int i = 0; i < count; ++i) {
    sockets.emplace(names[i], SD_LISTEN_FDS_START + i);
    std::free(names[i]);
  }
  std::free(names);
  return sockets;
}

void set_up_log(const Program& program, const config::Settings::Log& settings, bool foreground) {
  const bool to_stderr = foreground || settings.target == "stderr";
  log::open(program.name, to_stderr ? log::Target::Stderr : log::Target::Syslog);
  log::set_level(log::level_of(settings.level).value_or(log::Level::Info));
}

void set_process_limits() {
  // Memory may hold passwords: no core dumps.
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);
  // A connection is a descriptor; the soft limit of 1024 is for programs that use select(2).
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

// To the terminal or journal, and to the mail log where that is another place.
int not_started(const Program& program, const std::string& why, int status) {
  std::fprintf(stderr, "%s: %s\n", program.name, why.c_str());
  if (log::target() == log::Target::Syslog) log::error("not started: {}", why);
  return status;
}

class Daemon {
 public:
  Daemon(const Program& program, std::string file, bool foreground, config::Settings settings)
      : program_(program),
        file_(std::move(file)),
        foreground_(foreground),
        settings_(std::move(settings)),
        signals_(loop_.io(), SIGTERM, SIGINT, SIGHUP),
        watchdog_(loop_),
        drain_deadline_(loop_) {}

  int run() {
    service_ = program_.make(loop_, settings_);
    service_->metrics(metrics_);
    metrics_.collect([this](metrics::Samples& samples) { count_ourselves(samples); });
    auto inherited = inherited_sockets();
    std::vector<Endpoint> endpoints = service_->endpoints();
    endpoints.push_back(
        control_endpoint(program_.control_path(settings_), [this](const nlohmann::json& request, ControlReply reply) {
          if (!service_->control_later(request, reply)) reply(control(request));
        }));
    endpoints.push_back(metrics_endpoint(program_.metrics(settings_), metrics_));
    for (auto& endpoint : endpoints) open(std::move(endpoint), inherited);
    for (const auto& [name, fd] : inherited) {
      log::warning("a socket named \"{}\" was handed over, and nobody serves it; see FileDescriptorName= of the unit",
                   name);
      ::close(fd);
    }
    wait_for_signal();
    watch();
    log::info("{} {} serves; configuration {}", program_.name, VMAILKIT_VERSION, file_);
    sd_notify(0, "READY=1");
    loop_.run();
    // The end: sessions go first, then the pools are joined, then what they posted runs and finds no session. A wait of
    // a listener may have completed and not run yet, so the listeners outlive the loop's last turn.
    for (const auto& listener : listeners_) listener->abort_all();
    loop_.run_ready();
    service_->stop();
    loop_.run_ready();
    listeners_.clear();
    service_.reset();
    log::info("{} has ended", program_.name);
    return 0;
  }

 private:
  void open(Endpoint endpoint, Inherited& inherited) {
    std::vector<ListeningSocket> sockets;
    const auto [first, last] = inherited.equal_range(endpoint.name);
    for (auto it = first; it != last; ++it) sockets.push_back({UniqueFd(it->second), ""});
    inherited.erase(first, last);
    if (sockets.empty()) {
      const Networks networks(endpoint.networks);
      for (const auto& listen : endpoint.listen) sockets.push_back(bind_endpoint(listen, endpoint.mode, networks));
    }
    if (sockets.empty()) return;  // switched off
    listeners_.push_back(
        std::make_unique<Listener>(loop_, std::move(endpoint), std::move(sockets), [this] { end_when_empty(); }));
  }

  // Of the service's own peers: not those who ask how it is.
  std::size_t connections() const {
    std::size_t all = 0;
    for (const auto& listener : listeners_) {
      if (listener->name() != "control" && listener->name() != "metrics") all += listener->connections();
    }
    return all;
  }

  nlohmann::json control(const nlohmann::json& request) {
    if (request.at("command") == "log-level") return log_level(request);
    auto reply = service_->control(request);
    if (request.at("command") == "status" && !reply.contains("error")) {
      using std::chrono::seconds;
      reply["daemon"] = program_.name;
      reply["version"] = VMAILKIT_VERSION;
      reply["uptime"] = std::chrono::duration_cast<seconds>(std::chrono::steady_clock::now() - started_).count();
      reply["connections"] = connections();
      for (const auto& listener : listeners_) reply["sockets"][listener->name()] = listener->addresses();
    }
    return reply;
  }

  // {"command": "log-level"}, and with "level" to change it, until the configuration is read again.
  static nlohmann::json log_level(const nlohmann::json& request) {
    const auto before = log::level();
    if (request.contains("level")) {
      const auto wanted = log::level_of(request.at("level").get<std::string>());
      if (!wanted) return {{"error", "there is no such log level; there are error, warning, info and debug"}};
      log::set_level(*wanted);
      if (*wanted != before) {
        // Whatever the level: it says why there is more or less from here on.
        log::write(log::Level::Warning,
                   fmt::format("log-level before={} now={}: set by vmailctl, until the configuration is read again",
                               log::word(before), log::word(*wanted)));
      }
    }
    return {{"level", std::string(log::word(log::level()))}};
  }

  void count_ourselves(metrics::Samples& samples) const {
    samples.gauge("vmailkit_build_info", "Which program this is, and its version.", 1,
                  {{"program", program_.name}, {"version", VMAILKIT_VERSION}});
    samples.gauge("process_start_time_seconds", "When it started, in seconds since 1970.",
                  std::chrono::duration<double>(started_wall_.time_since_epoch()).count());
    for (const auto& listener : listeners_) {
      const metrics::Labels labels = {{"endpoint", listener->name()}};
      const auto outcome = [&](const char* name) {
        return metrics::Labels{{"endpoint", listener->name()}, {"outcome", name}};
      };
      samples.gauge("vmailkit_connections", "Connections that are open.", static_cast<double>(listener->connections()),
                    labels);
      const char* help = "Connections that came: served, over max_connections, or refused as not allowed.";
      samples.counter("vmailkit_connections_total", help, listener->served(), outcome("served"));
      samples.counter("vmailkit_connections_total", help, listener->over_limit(), outcome("over limit"));
      samples.counter("vmailkit_connections_total", help, listener->refused(), outcome("refused"));
    }
  }

  void wait_for_signal() {
    signals_.async_wait([this](const asio::error_code& error, int signal) {
      if (error) return;
      if (signal == SIGHUP) {
        reload();
      } else {
        drain();
      }
      wait_for_signal();
    });
  }

  void reload() {
    sd_notify(0, "RELOADING=1");
    try {
      auto fresh = config::load(file_);
      program_.check(fresh);
      settings_ = std::move(fresh);
      set_up_log(program_, settings_.log, foreground_);
      service_->reload(settings_);
      log::info("configuration read again from {}", file_);
    } catch (const config::Error& error) {
      not_reloaded(config::tell(error, file_));
    } catch (const std::exception& error) {
      not_reloaded(error.what());
    }
    sd_notify(0, "READY=1");
  }

  static void not_reloaded(const std::string& why) { log::error("the configuration stays as it was: {}", why); }

  void drain() {
    if (draining_) return loop_.stop();  // asked twice
    draining_ = true;
    sd_notify(0, "STOPPING=1");
    log::info("{} ends: answering what is in flight", program_.name);
    for (const auto& listener : listeners_) listener->drain();
    end_when_empty();
    drain_deadline_.start(kDrainDeadline, [this] {
      log::warning("some connections did not end in time; closing them");
      for (const auto& listener : listeners_) listener->abort_all();
      loop_.post([this] { loop_.stop(); });
    });
  }

  void end_when_empty() {
    for (const auto& listener : listeners_) {
      if (listener->connections() > 0) return;
    }
    if (draining_) loop_.stop();
  }

  // A loop that hangs is restarted by systemd (WatchdogSec=).
  void watch() {
    std::uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) <= 0) return;
    watchdog_.start(std::chrono::microseconds(microseconds / 3), [this] {
      sd_notify(0, "WATCHDOG=1");
      watch();
    });
  }

  const Program& program_;
  const std::string file_;
  const bool foreground_;
  config::Settings settings_;
  Loop loop_;
  asio::signal_set signals_;
  Timer watchdog_;
  Timer drain_deadline_;
  const Instant started_ = std::chrono::steady_clock::now();
  const WallTime started_wall_ = std::chrono::system_clock::now();
  metrics::Registry metrics_;
  std::unique_ptr<Service> service_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  bool draining_ = false;
};

}  // namespace

int run(int argc, char** argv, const Program& program) {
  CLI::App app(program.summary, program.name);
  std::string file = config::kDefaultFile;
  bool check_config = false, print_config = false, foreground = false;
  app.add_option("--config", file, "The configuration file")->capture_default_str();
  app.add_flag("--check-config", check_config, "Read and check the configuration, then end");
  app.add_flag("--print-config", print_config, "Print all settings with their values, then end");
  app.add_flag("--foreground", foreground, "Log to standard error instead of the mail log");
  app.set_version_flag("--version", std::string(program.name) + " " VMAILKIT_VERSION);
  CLI11_PARSE(app, argc, argv);

  ::umask(0077);
  set_process_limits();
  try {
    config::Settings settings = config::load(file);
    if (print_config) {
      std::fputs(config::print(settings).c_str(), stdout);
      return 0;
    }
    if (check_config) {
      program.check(settings);
      std::printf("%s: good\n", file.c_str());
      return 0;
    }
    if (::geteuid() == 0) {
      throw config::Error(std::string(program.name) +
                          " does not run as root: start its systemd unit, or use setpriv --reuid=USER --regid=GROUP "
                          "--clear-groups");
    }
    set_up_log(program, settings.log, foreground);
    program.check(settings);
    return Daemon(program, file, foreground, std::move(settings)).run();
  } catch (const config::Error& error) {
    return not_started(program, config::tell(error, file), kExitConfig);
  } catch (const std::exception& error) {
    return not_started(program, error.what(), 1);
  }
}

}  // namespace vmail::daemon
