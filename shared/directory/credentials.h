// What a login is checked by, beside its address: the same in rows and answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/secret.h"

namespace vmail::directory {

// What a login or an app password may be used for; whatever is empty or 0 does not limit.
struct Access {
  std::string services;         // blank separated, folded: imap, pop3, smtp, sieve
  std::string networks;         // blank separated, as stored: what of it cannot be parsed is bad data
  std::int64_t not_before = 0;  // seconds since 1970
  std::int64_t not_after = 0;
  bool operator==(const Access&) const = default;
};

// A password beside that of the login, made for one program or device. Found by its selector, which is its beginning.
struct AppPassword {
  std::uint64_t id = 0;
  std::string selector{};
  std::string label{};
  Secret hash{};
  Access access{};

  AppPassword copy() const { return {id, selector, label, hash.copy(), access}; }
};

inline std::vector<AppPassword> copy(const std::vector<AppPassword>& passwords) {
  std::vector<AppPassword> copies;
  copies.reserve(passwords.size());
  for (const auto& password : passwords) copies.push_back(password.copy());
  return copies;
}

}  // namespace vmail::directory
