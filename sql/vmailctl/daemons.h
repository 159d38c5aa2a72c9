// The running daemons of this host, asked and told over their control sockets.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sql/vmailctl/app.h"

namespace vmail::sql {

struct Daemon {
  std::string section;  // of vmailkit.toml: maps, auth, store
  std::string program;
  std::string control;  // the path of its control socket
};

// Those that are installed here: the folder of the control socket is there (the package makes it). `only`: a section,
// or empty for all. Throws Refusal when there is none.
std::vector<Daemon> daemons_of(const config::Settings& settings, const std::string& only = {});

struct Reply {
  enum class State {
    Answered,
    NotRunning,    // nobody listens
    Stuck,         // no answer in time, or none that can be read
    Refused,       // the daemon says that it cannot
    NotPermitted,  // this user may not ask
  };
  State state = State::Answered;
  nlohmann::json value;  // when it answered: an object
  std::string error;     // otherwise, in words
};

Reply ask(const Daemon& daemon, const nlohmann::json& request,
          std::chrono::milliseconds deadline = std::chrono::seconds(2));

// Each daemon asks anew for what it knows of the keys ("u@d", "@d" for a whole domain). One that does not run on this
// host, or that is not ours to tell, is no matter: it sees the change when the lifetime of its answers ends. One that
// fails to answer is worth a note, never an error: the change itself was made.
void tell_daemons(const App& app, const std::vector<std::string>& keys);

}  // namespace vmail::sql
