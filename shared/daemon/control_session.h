// The daemon's side of its control socket.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "shared/control/control.h"
#include "shared/daemon/daemon.h"

namespace vmail::daemon {

using ControlHandler = std::function<nlohmann::json(const nlohmann::json&)>;

// For root and the daemon's own user, as SO_PEERCRED tells.
Endpoint control_endpoint(const std::string& path, ControlHandler handler);

}  // namespace vmail::daemon
