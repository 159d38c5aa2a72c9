// The functions behind the schemes that crypt(3) does not know. From any thread.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/secret.h"
#include "shared/password/scheme.h"

namespace vmail::password {

// What the password comes to with the salt and cost of `hash`, in bytes; empty where the library refuses (no memory, a
// digest that a FIPS provider does not have).
Secret derive(const Secret& password, const StoredHash& hash);

// "$argon2id$v=19$m=...,t=...,p=1$salt$digest" with that salt.
std::string encode_argon2id(const Secret& password, std::string_view salt, unsigned memory_kib, unsigned passes);

}  // namespace vmail::password
