// Lines of a reply, and numbers of requests, for the daemon's side of the protocols that wire/tabs.h is about.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "dovecot-auth/wire/tabs.h"
#include "shared/base/text.h"

namespace vmail::auth {

// `content`: bytes of what the reply carries, each of which may need two; keys and numbers come on top.
template <class Fill>
std::string reply_line(std::size_t content, Fill fill) {
  std::string buffer(128 + 2 * content, '\0');
  tabs::Writer writer(buffer.data(), buffer.size());
  fill(writer);
  writer.end_line();
  buffer.resize(writer.size());
  return buffer;
}

inline void put(tabs::Writer& writer, const char* key, std::string_view value) {
  writer.field(key, value.data(), value.size());
}

// The number by which a client tells its requests apart.
inline std::optional<std::uint32_t> parse_request_id(std::string_view digits) {
  const auto id = parse_number(digits);
  if (!id || *id > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*id);
}

}  // namespace vmail::auth
