// App passwords as text: SELECTOR-xxxx-xxxx-xxxx-xxxx, each x and the eight characters of the selector out of a-z and
// 2-7 (base32 in lower case, RFC 4648 section 6). The selector says which one it is, so that one hash is checked and
// not all of a login; the rest are 80 random bits, for which a fast hash is dear enough.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/secret.h"

namespace vmail::password {

struct NewAppPassword {
  std::string selector;
  Secret password;  // with its selector: what is typed
  Secret hash;      // {SSHA256} of all of it
};

// Throws std::system_error when the kernel gives no random bytes.
NewAppPassword make_app_password();

// The selector of what was given as a password; empty when that is no app password by its form. Points into it.
std::string_view selector_of(std::string_view password);

}  // namespace vmail::password
