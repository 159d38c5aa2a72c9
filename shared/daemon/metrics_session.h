// The daemon's metrics, for Prometheus over HTTP.
#pragma once

#include <string>
#include <vector>

#include "shared/daemon/daemon.h"
#include "shared/runtime/metrics.h"

namespace vmail::daemon {

// On loopback or a UNIX socket; `listen` is empty when they are off. `registry` outlives the sessions.
Endpoint metrics_endpoint(std::vector<std::string> listen, const metrics::Registry& registry);

}  // namespace vmail::daemon
