// The client library's own beginning and end.
#pragma once

#include "shared/base/move_only_function.h"

namespace vmail::mysql {

// Before the first use of the library, from any thread, as often as one likes. Its end is after main(), when the tasks
// of run_beside() have ended. Throws Error.
void use_library();

// First and last thing on a thread that uses connections.
void begin_thread();
void end_thread();

// Runs `task`, which does not throw, on a thread of its own. Throws Error when too many such tasks hang.
void run_beside(MoveOnlyFunction<void()> task);

}  // namespace vmail::mysql
