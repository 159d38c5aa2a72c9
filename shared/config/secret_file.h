// Secrets live in files that one user can read, or in systemd credentials; never in vmailkit.toml, the environment or
// an argument list.
#pragma once

#include <string>

#include "shared/base/secret.h"

namespace vmail::config {

// The first line of `file`; $CREDENTIALS_DIRECTORY/`credential` is taken instead when systemd has put it there.
// Throws Error (config.h) that names the file when it cannot be read, is empty, or when others can read or write it.
Secret read_secret(const std::string& credential, const std::string& file);

}  // namespace vmail::config
