#include "shared/password/random.h"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

#include "shared/password/forms.h"

namespace vmail::password {

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  // Up to 256 bytes come whole or not at all (getrandom(2)).
  if (getrandom(bytes.data(), count, 0) != static_cast<ssize_t>(count)) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  return bytes;
}

std::string random_salt(std::size_t characters) {
  std::string salt = random_bytes(characters);
  // Six bits of each byte: the alphabet has 64 characters, so none is likelier than another.
  for (char& c : salt) c = kCryptAlphabet[static_cast<unsigned char>(c) & 63u];
  return salt;
}

}  // namespace vmail::password
