// The files that hold the daemons' database passwords: mode 0400, owned by the daemon's user.
#pragma once

#include <string>

#include "shared/base/secret.h"

namespace vmail::sql {

struct PasswordFile {
  Secret password;
  bool made = false;   // the password is new
  std::string remark;  // for people; empty when there is nothing to say
};

// Keeps the password of a file that others could not read, else makes a random one; the file then has the right owner
// and mode, is on disk, and was never half written. Throws Refusal.
PasswordFile ensure_password_file(const std::string& path, const std::string& owner);

// 192 bits, in characters that need no escaping anywhere. Throws Refusal.
Secret random_password();

// What is wrong with the file, in words; empty when nothing is. Root can read it; nobody else needs to.
std::string why_not_a_password_file(const std::string& path, const std::string& owner);

}  // namespace vmail::sql
