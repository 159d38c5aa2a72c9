// How a command that failed ends.
#pragma once

#include "sql/vmailctl/output.h"

namespace vmail::sql {

// Tells what the exception that is being handled says, and returns its exit status.
int tell_exception(Output& output);

}  // namespace vmail::sql
