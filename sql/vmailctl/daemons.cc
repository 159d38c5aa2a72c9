#include "sql/vmailctl/daemons.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "shared/control/control.h"

namespace vmail::sql {
namespace {

constexpr std::chrono::milliseconds kDeadline{2000};

}  // namespace

void tell_daemons(const App& app, const std::vector<std::string>& keys) {
  const nlohmann::json request = {{"command", "flush"}, {"keys", keys}};
  for (const std::string& path : {app.settings.maps.control, app.settings.auth.control, app.settings.store.control}) {
    if (path.empty() || ::access(path.c_str(), R_OK | W_OK) != 0) continue;
    try {
      control::call(path, request, kDeadline);
    } catch (const control::NobodyListens&) {
    } catch (const control::Error& error) {
      app.output.note(fmt::format("not told: {}; the change is seen there within {} s", error.what(),
                                  app.settings.directory.found_lifetime.count() / 1000));
    }
  }
}

}  // namespace vmail::sql
