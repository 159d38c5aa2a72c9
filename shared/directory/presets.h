// A preset: the SQL texts for one schema, by name and schema version (sql/presets/*.sql, built into the program).
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace vmail::directory {

class Preset {
 public:
  // By the name of [directory] preset. Throws config::Error for one that is not built in.
  static Preset built_in(const std::string& name);
  // Throws std::runtime_error that names the line, for a file that is not made as sql/presets/virtual.sql explains.
  static Preset parse(std::string_view file);

  // The text for that version: the one with the greatest `since` that is not above it. There must be one.
  const std::string& text(std::string_view name, int version) const;
  bool has(std::string_view name, int version) const;

 private:
  std::map<std::string, std::map<int, std::string>, std::less<>> texts_;
};

// The text with each :keys as `keys` parameter markers; `uses` is how often that was.
std::string expand_keys(const std::string& text, std::size_t keys, std::size_t& uses);
// The text with :spans as so many spans of ids, of two parameter markers each.
std::string expand_spans(const std::string& text, std::size_t spans);

}  // namespace vmail::directory
