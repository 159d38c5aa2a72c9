// One request to vmail-authd and its reply (verify/protocol.h), within a deadline. libc only; no signal is touched, no
// memory allocated, no state kept, so that it can run inside other people's programs.
#pragma once

#include <stddef.h>

namespace vmail::auth::client {

// A moment on CLOCK_MONOTONIC, in milliseconds.
long long now_ms();

// Sends `size` bytes and reads one line into `reply` (its LF becomes the NUL that ends it). Returns its length, or -1:
// `why` then says what went wrong, in words.
long ask(const char* socket_path, const char* request, size_t size, char* reply, size_t capacity, long long deadline_ms,
         const char** why);

// Reads from a pipe until its end; -1 with `why` when that takes too long, or when there is more than `capacity`.
long read_all(int fd, char* buffer, size_t capacity, long long deadline_ms, const char** why);

}  // namespace vmail::auth::client
