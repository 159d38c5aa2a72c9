#include "sql/vmailctl/daemons.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/control/control.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

std::vector<Daemon> all_daemons(const config::Settings& settings) {
  return {{"maps", "vmail-mapd", settings.maps.control},
          {"auth", "vmail-authd", settings.auth.control},
          {"store", "vmail-lmtpd", settings.store.control}};
}

std::string folder_of(const Daemon& daemon) {
  return daemon.control.substr(0, daemon.control.rfind('/'));
}

bool is_installed(const Daemon& daemon) {
  struct stat info {};
  return ::stat(folder_of(daemon).c_str(), &info) == 0 || errno != ENOENT;
}

}  // namespace

std::vector<Daemon> daemons_of(const config::Settings& settings, const std::string& only) {
  std::vector<Daemon> found;
  for (auto& daemon : all_daemons(settings)) {
    if (!only.empty() && daemon.section != only) continue;
    if (is_installed(daemon)) {
      found.push_back(std::move(daemon));
    } else if (!only.empty()) {
      throw Refusal(fmt::format("{} is not installed here: there is no folder {}", daemon.program, folder_of(daemon)),
                    "Its package makes that folder for its sockets; after a reboot systemd-tmpfiles does.");
    }
  }
  if (found.empty()) {
    throw Refusal("no daemon of vmailkit is installed here: none has a folder for its control socket",
                  "Are the paths right (`control` of [maps], [auth] and [store] in vmailkit.toml)?");
  }
  return found;
}

Reply ask(const Daemon& daemon, const nlohmann::json& request, std::chrono::milliseconds deadline) {
  try {
    return {Reply::State::Answered, control::call(daemon.control, request, deadline), ""};
  } catch (const control::NobodyListens& error) {
    return {Reply::State::NotRunning, {}, error.what()};
  } catch (const control::NotPermitted& error) {
    return {Reply::State::NotPermitted, {}, error.what()};
  } catch (const control::Refused& error) {
    return {Reply::State::Refused, {}, error.what()};
  } catch (const control::Error& error) {
    return {Reply::State::Stuck, {}, error.what()};
  }
}

void tell_daemons(const App& app, const std::vector<std::string>& keys) {
  for (const auto& daemon : all_daemons(app.settings)) {
    if (daemon.control.empty() || ::access(daemon.control.c_str(), R_OK | W_OK) != 0) continue;
    const Reply reply = ask(daemon, {{"command", "flush"}, {"keys", keys}});
    if (reply.state == Reply::State::Answered || reply.state == Reply::State::NotRunning) continue;
    app.output.note(fmt::format("not told: {}; the change is seen there within {} s", reply.error,
                                app.settings.directory.found_lifetime.count() / 1000));
  }
}

}  // namespace vmail::sql
