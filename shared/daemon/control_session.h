// The daemon's side of its control socket.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "shared/base/move_only_function.h"
#include "shared/control/control.h"
#include "shared/daemon/daemon.h"

namespace vmail::daemon {

// Gives the reply by a call of `reply`, inside the call or later; requests of one connection are answered in order.
using ControlHandler = std::function<void(const nlohmann::json& request, ControlReply reply)>;

// For root and the daemon's own user, as SO_PEERCRED tells.
Endpoint control_endpoint(const std::string& path, ControlHandler handler);

}  // namespace vmail::daemon
