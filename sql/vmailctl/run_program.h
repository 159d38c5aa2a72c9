// Programs of the system that vmailctl runs, such as postconf: without a shell, and with nothing to read.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace vmail::sql {

struct Ran {
  int status = 0;      // its exit status; 128 and the signal's number when a signal ended it
  std::string output;  // on standard output; no more than 64 MiB
  std::string errors;  // on standard error, the same

  // What it wrote there, in one line that can be shown.
  std::string complaint() const;
};

// Looked for in PATH, then in /usr/sbin. Blocks until it has ended; one that takes longer than that is killed. Throws
// Refusal then, and when it cannot be started.
Ran run_program(const std::vector<std::string>& arguments, std::chrono::seconds patience = std::chrono::seconds(60));

// Whether there is such a program to run.
bool has_program(const std::string& name);

}  // namespace vmail::sql
