// SCRAM-SHA-256 keys as libsasl2 wants them of an auxiliary property plugin (plugins/scram.c), for the plugin inside
// vmail-authd and the one inside other programs. libc only.
#pragma once

#include <string.h>

namespace vmail::auth::sasl_keys {

// The property that they are looked for in; the star: of the user who logs in (saslplug.h).
inline constexpr const char* kProperty = "*authPassword";
// What stands before them.
inline constexpr const char* kPrefix = "SCRAM-SHA-256$";

// "iterations,salt,StoredKey,ServerKey" becomes "iterations:salt$StoredKey:ServerKey", where it stands. False when it
// is none; it may then have changed all the same.
inline bool convert(char* keys) {
  for (const char* separator = ":$:"; *separator != '\0'; ++separator) {
    char* comma = strchr(keys, ',');
    if (comma == nullptr) return false;
    *comma = *separator;
  }
  return true;
}

}  // namespace vmail::auth::sasl_keys
