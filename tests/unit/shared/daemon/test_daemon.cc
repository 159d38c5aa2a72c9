// A daemon around the skeleton, for daemon_test.cc: a line comes back as it is, unless it is one of a few words.
#include <memory>
#include <string>

#include "shared/config/config.h"
#include "shared/daemon/daemon.h"
#include "shared/runtime/log.h"

namespace {

using namespace vmail;

int sessions = 0;
metrics::Counter* lines = nullptr;

class LineSession final : public Session {
 public:
  explicit LineSession(Channel& channel) : channel_(channel), answer_(channel.loop()) { ++sessions; }
  ~LineSession() override { --sessions; }

  void on_bytes(std::string_view bytes) override {
    line_ += bytes;
    if (line_.back() != '\n') return;
    // "slow": answered while the daemon ends. "stuck": never answered.
    if (line_ == "slow\n" || line_ == "stuck\n") return channel_.pause();
    channel_.send(line_);
    line_.clear();
    lines->add();
  }
  void on_end_of_input() override { channel_.close(); }
  void on_drain() override {
    if (line_ == "stuck\n") return;
    if (line_ != "slow\n") return channel_.close();
    answer_.start(std::chrono::milliseconds(50), [this] {
      channel_.send("slow answer\n");
      channel_.close();
    });
  }

 private:
  Channel& channel_;
  Timer answer_;
  std::string line_;
};

class TestService final : public daemon::Service {
 public:
  explicit TestService(const config::Settings& settings) : settings_(settings) {}

  std::vector<daemon::Endpoint> endpoints() override {
    daemon::Endpoint endpoint;
    endpoint.name = "test";
    endpoint.listen = settings_.maps.listen;
    endpoint.networks = settings_.maps.networks;
    endpoint.max_connections = settings_.maps.max_connections;
    endpoint.open = [](Channel& channel) { return std::make_shared<LineSession>(channel); };
    return {endpoint};
  }
  void reload(const config::Settings& settings) override { settings_ = settings; }
  nlohmann::json control(const nlohmann::json& request) override {
    if (request.at("command") == "status") return {{"database", settings_.database.name}, {"sessions", sessions}};
    return {{"error", "no such command"}};
  }
  void metrics(metrics::Registry& registry) override { lines = &registry.counter("test_lines_total", "Lines."); }
  void stop() override { log::info("stop with {} sessions", sessions); }

 private:
  config::Settings settings_;
};

}  // namespace

int main(int argc, char** argv) {
  daemon::Program program;
  program.name = "test-daemon";
  program.summary = "Tests the skeleton of the daemons";
  program.control_path = [](const config::Settings& settings) { return settings.maps.control; };
  program.metrics = [](const config::Settings& settings) { return settings.maps.metrics; };
  program.make = [](Loop&, const config::Settings& settings) { return std::make_unique<TestService>(settings); };
  program.check = [](const config::Settings& settings) {
    if (settings.database.name == "refused") throw config::SettingError("database.name", "this daemon refuses it");
  };
  return daemon::run(argc, argv, program);
}
