// Whether a node of a Galera cluster takes part in it now.
#pragma once

#include <string>

#include "shared/mysql/connection.h"

namespace vmail::mysql {

struct GaleraState {
  bool node = false;     // of a cluster at all
  std::string unsynced;  // why its data may be behind; empty when it is synced
};
// One question to the server. Throws Error.
GaleraState galera_state(Connection& connection);

}  // namespace vmail::mysql
