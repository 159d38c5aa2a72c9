// The requests of vmailctl that are the same for all daemons: those about the directory.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "shared/directory/directory.h"
#include "shared/runtime/metrics.h"

namespace vmail::directory {

// {"command": "status" | "show" | "flush" | "confirm", ...}: the reply, or nothing for another command. What is the
// daemon's own in a status is added by its caller. Loop thread only.
std::optional<nlohmann::json> answer_control(Directory& directory, const nlohmann::json& request);

// Has the registry look at stats() whenever somebody looks at it. The directory outlives that.
void add_metrics(const Directory& directory, metrics::Registry& registry);

}  // namespace vmail::directory
