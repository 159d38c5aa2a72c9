// The query of a map that the administrator defines, with named parameters: what the server is sent, and what is bound
// for a key. Nothing from a key ever becomes part of the text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/config/settings.h"

namespace vmail::directory {

class MapQuery {
 public:
  // Throws config::Error, which names the map: a text that is no single SELECT, has another parameter than those of
  // Part, or none at all, or a quote that is not closed.
  explicit MapQuery(const config::QueryMap& map);

  const std::string& sql() const { return sql_; }  // with ? in the place of each parameter

  // What is bound for a key as map_key() gives it, in the order of the markers; nothing when the key lacks a part that
  // the query names: then there is nothing to ask.
  std::optional<std::vector<std::string>> bind(std::string_view key, std::string_view delimiters) const;

 private:
  enum class Part : unsigned char { Key, Local, User, Domain };

  std::string sql_;
  std::vector<Part> parameters_;
};

// A key in one spelling: folded, without the quotes of a local part that needs none, the domain as A-label; what is no
// address is folded. False for what nobody could mean: it is empty, longer than an address, not UTF-8, or has control
// characters.
bool map_key(std::string_view asked, std::string& key);

}  // namespace vmail::directory
