// Lines of fields between tabs, with Dovecot's escaping (str_tabescape() in its lib/strescape.c): \001 stands before
// '0' for NUL, '1' for \001 itself, 't' TAB, 'n' LF, 'r' CR. Every line protocol of Dovecot is made of them, and so is
// ours.
//
// For programs and modules that link libc only as well as for the daemon: no exceptions, no allocation, nothing of the
// C++ library.
#pragma once

#include <stddef.h>

namespace vmail::auth::tabs {

// One field, unescaped. A NUL follows it; one that was escaped may also stand within.
struct Field {
  char* text;
  size_t size;
};

// Cuts a line (without its LF) at its tabs and unescapes each field where it stands. line[size] must be writable: it
// becomes the last field's NUL. Returns how many there are; max + 1 when there are more than `max`.
size_t split(char* line, size_t size, Field* fields, size_t max);

// What stands after "key=" in a field; nullptr when the field is another.
const char* value_of(const Field& field, const char* key);

// Writes one line into a buffer of the caller's. What does not fit makes ok() false for good.
class Writer {
 public:
  Writer(char* buffer, size_t capacity) : buffer_(buffer), capacity_(capacity) {}

  // A field without a key: a command, a number, a flag.
  void word(const char* text);
  void field(const char* key, const char* value, size_t size);
  void field(const char* key, const char* value);
  void end_line();

  bool ok() const { return ok_; }
  const char* data() const { return buffer_; }
  size_t size() const { return size_; }

 private:
  void put(char c);
  void begin_field();
  void put_escaped(const char* text, size_t size);

  char* buffer_;
  size_t capacity_;
  size_t size_ = 0;
  bool ok_ = true;
};

}  // namespace vmail::auth::tabs
