// The client library's own beginning and end.
#pragma once

namespace vmail::mysql {

// Before the first use of the library, from any thread, as often as one likes. Its end is after main(). Throws Error.
void use_library();

// First and last thing on a thread that uses connections.
void begin_thread();
void end_thread();

}  // namespace vmail::mysql
