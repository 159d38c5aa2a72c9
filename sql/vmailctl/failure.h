// How a command that failed ends.
#pragma once

#include <string>

#include "sql/vmailctl/output.h"

namespace vmail::sql {

// Tells what the exception that is being handled says, and returns its exit status. `config_file` has the settings.
int tell_exception(Output& output, const std::string& config_file);

}  // namespace vmail::sql
