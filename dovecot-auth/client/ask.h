// Requests to vmail-authd and their replies (verify/protocol.h), within a deadline. libc only; no signal is touched, no
// memory allocated, no state kept but by a Connection, so that it can run inside other people's programs.
#pragma once

#include <stddef.h>

namespace vmail::auth::client {

// A moment on CLOCK_MONOTONIC, in milliseconds.
long long now_ms();

// A connection that is kept from one request to the next. It has no destructor, since those who keep it are ended by
// others: close() it.
class Connection {
 public:
  // As ask() below. When the daemon has hung up on what was kept (it was restarted), the request is sent once more, on
  // a new connection. After a failure nothing is kept: a late reply can be nobody else's.
  long ask(const char* socket_path, const char* request, size_t size, char* reply, size_t capacity,
           long long deadline_ms, const char** why);
  void close();

 private:
  int fd_ = -1;
  int owner_ = 0;  // the process that opened it: two that share one would read each other's replies
};

// Sends `size` bytes and reads one line into `reply` (its LF becomes the NUL that ends it). Returns its length, or -1:
// `why` then says what went wrong, in words.
long ask(const char* socket_path, const char* request, size_t size, char* reply, size_t capacity, long long deadline_ms,
         const char** why);

// Reads from a pipe until `count` strings, each with its NUL, are there, or until its end; -1 with `why` when that
// takes too long, or when there is more than `capacity`.
long read_strings(int fd, int count, char* buffer, size_t capacity, long long deadline_ms, const char** why);

}  // namespace vmail::auth::client
