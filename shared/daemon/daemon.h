// The skeleton of every daemon: command line, configuration, log, listeners (handed over by systemd or bound by
// ourselves), readiness and watchdog, SIGHUP reloads, SIGTERM drains, the control socket. A component supplies a
// Service, and its main.cc is a page of wiring.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shared/base/move_only_function.h"
#include "shared/config/settings.h"
#include "shared/runtime/channel.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/metrics.h"

namespace vmail::daemon {

struct Endpoint {
  std::string name;  // FileDescriptorName= of its .socket unit
  std::vector<std::string>
      listen;  // "unix:/path", "inet:ADDRESS:PORT"; used when systemd handed over none by this name
  std::vector<std::string> networks;  // that TCP peers may come from; empty: loopback
  mode_t mode = 0660;                 // of a UNIX socket that we bind ourselves
  std::size_t max_connections = 100;
  std::function<bool(const Peer&)> admit;  // empty: everybody that the socket's mode lets in
  std::function<std::shared_ptr<Session>(Channel&)> open;
};

using ControlReply = MoveOnlyFunction<void(const nlohmann::json& reply)>;

class Service {
 public:
  virtual ~Service() = default;
  // Once, after construction.
  virtual std::vector<Endpoint> endpoints() = 0;
  // SIGHUP, after the new file was found good. What cannot change without a restart is logged by the service.
  virtual void reload(const config::Settings& settings) = 0;
  // A request of vmailctl, {"command": NAME, ...}; the reply, or {"error": "what is wrong"}. Must not block. To the
  // reply of "status" the skeleton adds what it knows itself: daemon, version, uptime (in seconds), connections, and
  // the sockets of each endpoint; "log-level" it answers alone.
  virtual nlohmann::json control(const nlohmann::json& request) = 0;
  // The same for a command that has to wait for something: true when this service takes it, and calls `reply` once,
  // from the loop, within a few seconds. Asked before control().
  virtual bool control_later(const nlohmann::json&, ControlReply&) { return false; }
  // Once, after construction: what this service counts. The registry outlives the service, and asks its collectors
  // until stop().
  virtual void metrics(metrics::Registry&) {}
  // After the last session has gone: join the pools. Blocking is allowed here.
  virtual void stop() = 0;
};

struct Program {
  const char* name;     // vmail-mapd
  const char* summary;  // for --help
  // The path of the control socket.
  std::function<std::string(const config::Settings&)> control_path;
  // Where metrics are served, as Endpoint::listen.
  std::function<std::vector<std::string>(const config::Settings&)> metrics;
  // Builds the service; throws config::Error when the settings cannot work (`--check-config` calls check only).
  std::function<std::unique_ptr<Service>(Loop&, const config::Settings&)> make;
  // What --check-config looks at beyond the file itself: the password file, users that must exist. Throws
  // config::Error.
  std::function<void(const config::Settings&)> check;
};

// Exit status: 0 after a drain, 78 (EX_CONFIG) for a bad configuration, 1 for what else went wrong at start.
int run(int argc, char** argv, const Program& program);

}  // namespace vmail::daemon
