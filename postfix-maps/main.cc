// vmail-mapd: answers Postfix's address maps from the directory, over socketmap, and is its policy server.
#include <memory>
#include <string>
#include <vector>

#include "postfix-maps/directory_maps.h"
#include "postfix-maps/maps.h"
#include "postfix-maps/policy/service.h"
#include "postfix-maps/socketmap/session.h"
#include "shared/base/clock.h"
#include "shared/config/config.h"
#include "shared/config/secret_file.h"
#include "shared/daemon/daemon.h"
#include "shared/directory/control.h"
#include "shared/directory/directory.h"
#include "shared/directory/query_maps.h"
#include "shared/directory/sql_usage_journal.h"

namespace {

using namespace vmail;

directory::Options directory_options(const config::Settings& settings) {
  directory::Options options;
  options.database_user = settings.maps.database_user;
  options.database_password = config::read_secret("database-password", settings.maps.database_password_file);
  options.state_folder = settings.maps.state;
  options.rules = true;
  return options;
}

class MapsService final : public daemon::Service {
 public:
  MapsService(Loop& loop, const config::Settings& settings)
      : settings_(settings),
        directory_(loop, clock_, settings, directory_options(settings)),
        queries_(loop, clock_, settings, directory_options(settings)),
        policy_(loop, clock_, settings, directory_,
                std::make_unique<directory::SqlUsageJournal>(loop, clock_, settings, directory_options(settings))) {
    maps::add_directory_maps(maps_, directory_);
    maps::add_query_maps(maps_, queries_);
  }

  std::vector<daemon::Endpoint> endpoints() override {
    daemon::Endpoint endpoint;
    endpoint.name = "maps";
    endpoint.listen = settings_.maps.listen;
    endpoint.networks = settings_.maps.networks;
    endpoint.max_connections = settings_.maps.max_connections;
    endpoint.open = [this](Channel& channel) { return std::make_shared<socketmap::SocketmapSession>(channel, maps_); };
    return {endpoint, policy_.endpoint()};
  }

  void reload(const config::Settings& settings) override {
    directory_.reload(settings);
    queries_.reload(settings);
    policy_.reload(settings);
  }

  nlohmann::json control(const nlohmann::json& request) override {
    if (request.at("command") == "flush") queries_.flush();
    if (auto reply = policy_.answer_control(request)) return *reply;
    if (auto reply = directory::answer_control(directory_, request)) return *reply;
    return {{"error", "vmail-mapd does not know that command; are vmailctl and the daemon of one version?"}};
  }

  void metrics(metrics::Registry& registry) override {
    directory::add_metrics(directory_, registry);
    maps_.metrics(registry);
    policy_.metrics(registry);
  }

  void stop() override {
    directory_.stop();
    queries_.stop();
    policy_.stop();
  }

 private:
  const config::Settings settings_;  // of the start: listeners do not change while we run
  SystemClock clock_;
  maps::Maps maps_{clock_};  // outlives the next two, which answer what is still out when they end
  directory::Directory directory_;
  directory::QueryMaps queries_;
  policy::PolicyService policy_;
};

}  // namespace

int main(int argc, char** argv) {
  daemon::Program program;
  program.name = "vmail-mapd";
  program.summary = "Answers Postfix's lookups of virtual domains, mailboxes, aliases and rules (socketmap)";
  program.control_path = [](const config::Settings& settings) { return settings.maps.control; };
  program.metrics = [](const config::Settings& settings) { return settings.maps.metrics; };
  program.make = [](Loop& loop, const config::Settings& settings) {
    return std::make_unique<MapsService>(loop, settings);
  };
  program.check = [](const config::Settings& settings) {
    directory_options(settings);
    maps::check_query_maps(settings);
  };
  return daemon::run(argc, argv, program);
}
