// Bounded name resolution: getaddrinfo() has no deadline, and a dead name server would hold a worker for half a minute.
#pragma once

#include <chrono>
#include <string>

namespace vmail::mysql {

// Returns when `name` can be resolved (an address always can); else what is wrong, in words. Blocks up to `timeout`.
std::string why_not_resolved(const std::string& name, std::chrono::milliseconds timeout);

}  // namespace vmail::mysql
