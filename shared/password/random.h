// Bytes and salts from the kernel's random source. Both throw std::system_error when it gives none.
#pragma once

#include <cstddef>
#include <string>

namespace vmail::password {

std::string random_bytes(std::size_t count);
// In the alphabet of crypt(3).
std::string random_salt(std::size_t characters);

}  // namespace vmail::password
