#include "dovecot-auth/wire/tabs.h"

#include <string.h>

namespace vmail::auth::tabs {
namespace {

constexpr char kEscape = '\001';

size_t unescape(char* text, size_t size) {
  size_t out = 0;
  for (size_t i = 0; i < size; ++i) {
    if (text[i] != kEscape) {
      text[out++] = text[i];
      continue;
    }
    if (++i == size) break;  // an escape at the end stands for nothing, as with Dovecot
    switch (text[i]) {
      case '0':
        text[out++] = '\0';
        break;
      case '1':
        text[out++] = kEscape;
        break;
      case 't':
        text[out++] = '\t';
        break;
      case 'n':
        text[out++] = '\n';
        break;
      case 'r':
        text[out++] = '\r';
        break;
      default:
        text[out++] = text[i];
    }
  }
  text[out] = '\0';
  return out;
}

}  // namespace

size_t split(char* line, size_t size, Field* fields, size_t max) {
  size_t count = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= size; ++i) {
    if (i != size && line[i] != '\t') continue;
    if (count == max) return max + 1;
    fields[count].text = line + begin;
    fields[count].size = unescape(line + begin, i - begin);
    ++count;
    begin = i + 1;
  }
  return count;
}

const char* value_of(const Field& field, const char* key) {
  const size_t length = strlen(key);
  if (field.size <= length || memcmp(field.text, key, length) != 0 || field.text[length] != '=') return nullptr;
  return field.text + length + 1;
}

void Writer::put(char c) {
  if (size_ == capacity_) ok_ = false;
  if (ok_) buffer_[size_++] = c;
}

void Writer::begin_field() {
  if (size_ > 0) put('\t');
}

void Writer::put_escaped(const char* text, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    char code = 0;
    switch (text[i]) {
      case '\0':
        code = '0';
        break;
      case kEscape:
        code = '1';
        break;
      case '\t':
        code = 't';
        break;
      case '\n':
        code = 'n';
        break;
      case '\r':
        code = 'r';
        break;
      default:
        put(text[i]);
        continue;
    }
    put(kEscape);
    put(code);
  }
}

void Writer::word(const char* text) {
  begin_field();
  put_escaped(text, strlen(text));
}

void Writer::field(const char* key, const char* value, size_t size) {
  begin_field();
  put_escaped(key, strlen(key));
  put('=');
  put_escaped(value, size);
}

void Writer::field(const char* key, const char* value) {
  field(key, value, strlen(value));
}

void Writer::end_line() {
  put('\n');
}

}  // namespace vmail::auth::tabs
