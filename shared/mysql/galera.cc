#include "shared/mysql/galera.h"

#include <fmt/format.h>

#include "shared/base/text.h"

namespace vmail::mysql {

// Only a server with a provider has wsrep_local_state; wsrep_ready is OFF on every other MariaDB too. The numbers are
// those of node_state in galera's documentation: 4 is Synced, 2 Donor/Desynced.
GaleraState galera_state(Connection& connection) {
  GaleraState galera;
  std::string state, comment, ready;
  const Result status = connection.run(
      "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_local_state', 'wsrep_local_state_comment', 'wsrep_ready')");
  for (const Row& row : status.rows) {
    const std::string name = fold_case(row.at(0).value_or(""));
    const std::string value = row.at(1).value_or("");
    if (name == "wsrep_local_state") state = value;
    if (name == "wsrep_local_state_comment") comment = value;
    if (name == "wsrep_ready") ready = value;
  }
  galera.node = !state.empty();
  if (galera.node && state != "4") {
    galera.unsynced =
        fmt::format("its Galera node is not synced (wsrep_local_state {}, {})", state, printable(comment));
  } else if (galera.node && ready == "OFF") {
    galera.unsynced = "its Galera node is not ready (wsrep_ready OFF)";
  }
  return galera;
}

}  // namespace vmail::mysql
