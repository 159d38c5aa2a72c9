// vmail-mapd: answers Postfix's address maps from the directory, over socketmap.
#include <memory>
#include <string>
#include <vector>

#include "postfix-maps/maps.h"
#include "postfix-maps/socketmap/session.h"
#include "shared/base/clock.h"
#include "shared/config/config.h"
#include "shared/config/secret_file.h"
#include "shared/daemon/daemon.h"
#include "shared/directory/control.h"
#include "shared/directory/directory.h"

namespace {

using namespace vmail;

Secret database_password(const config::Settings& settings) {
  return config::read_secret("database-password", settings.maps.database_password_file);
}

class MapsService final : public daemon::Service {
 public:
  MapsService(Loop& loop, const config::Settings& settings)
      : settings_(settings),
        directory_(loop, clock_, settings,
                   {settings.maps.database_user, database_password(settings), settings.maps.state}) {
    maps_.add_directory(directory_);
  }

  std::vector<daemon::Endpoint> endpoints() override {
    daemon::Endpoint endpoint;
    endpoint.name = "maps";
    endpoint.listen = settings_.maps.listen;
    endpoint.networks = settings_.maps.networks;
    endpoint.max_connections = settings_.maps.max_connections;
    endpoint.open = [this](Channel& channel) { return std::make_shared<socketmap::SocketmapSession>(channel, maps_); };
    return {endpoint};
  }

  void reload(const config::Settings& settings) override { directory_.reload(settings); }

  nlohmann::json control(const nlohmann::json& request) override {
    if (auto reply = directory::answer_control(directory_, request)) return *reply;
    return {{"error", "vmail-mapd does not know that command; are vmailctl and the daemon of one version?"}};
  }

  void metrics(metrics::Registry& registry) override {
    directory::add_metrics(directory_, registry);
    maps_.metrics(registry);
  }

  void stop() override { directory_.stop(); }

 private:
  const config::Settings settings_;  // of the start: listeners do not change while we run
  SystemClock clock_;
  maps::Maps maps_{clock_};  // outlives the directory, which answers what is still out when it ends
  directory::Directory directory_;
};

}  // namespace

int main(int argc, char** argv) {
  daemon::Program program;
  program.name = "vmail-mapd";
  program.summary = "Answers Postfix's lookups of virtual domains, mailboxes and aliases (socketmap)";
  program.control_path = [](const config::Settings& settings) { return settings.maps.control; };
  program.metrics = [](const config::Settings& settings) { return settings.maps.metrics; };
  program.make = [](Loop& loop, const config::Settings& settings) {
    return std::make_unique<MapsService>(loop, settings);
  };
  program.check = [](const config::Settings& settings) { database_password(settings); };
  return daemon::run(argc, argv, program);
}
