// Telling the running daemons of this host what was changed.
#pragma once

#include <string>
#include <vector>

#include "sql/vmailctl/app.h"

namespace vmail::sql {

// Each daemon forgets what it knows of the keys ("u@d", "@d" for a whole domain). One that does not run on this host,
// or that is not ours to tell, is no matter: it sees the change when the lifetime of its answers ends. One that fails
// to answer is worth a note, never an error: the change itself was made.
void tell_daemons(const App& app, const std::vector<std::string>& keys);

}  // namespace vmail::sql
