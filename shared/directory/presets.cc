#include "shared/directory/presets.h"

#include <fmt/format.h>

#include <cassert>
#include <optional>
#include <stdexcept>

#include "shared/base/text.h"
#include "shared/config/config.h"
#include "shared/directory/preset_files.h"

namespace vmail::directory {
namespace {

// The text with each `mark` as `count` of `piece`.
std::string expand(const std::string& text, std::string_view mark, std::string_view piece, std::string_view separator,
                   std::size_t count, std::size_t& uses) {
  assert(count > 0);
  std::string expanded;
  uses = 0;
  std::size_t from = 0;
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, from)) {
    expanded.append(text, from, at - from);
    for (std::size_t i = 0; i < count; ++i) expanded.append(i == 0 ? "" : separator).append(piece);
    from = at + mark.size();
    ++uses;
  }
  return expanded.append(text, from);
}

}  // namespace

Preset Preset::built_in(const std::string& name) {
  for (const auto& file : preset_files()) {
    if (file.name == name) return parse(file.text);
  }
  std::string known;
  for (const auto& file : preset_files()) known += (known.empty() ? "" : ", ") + std::string(file.name);
  throw config::SettingError("directory.preset", fmt::format("'{}' is not known; there is: {}", name, known));
}

Preset Preset::parse(std::string_view file) {
  Preset preset;
  std::string name;
  int since = 0;
  std::string text;
  std::size_t number = 0;
  const auto refuse = [&](const std::string& why) {
    return std::runtime_error(fmt::format("preset, line {}: {}", number, why));
  };
  for (const auto& whole : split(file, '\n')) {
    ++number;
    std::string_view line = trim(whole);
    if (line.starts_with("-- name: ")) {
      if (!text.empty()) throw refuse("the text before it has no ';'");
      name = line.substr(9);
      since = 0;
    } else if (line.starts_with("-- since: ")) {
      const auto version = parse_number(line.substr(10));
      if (!version || *version > 9999) throw refuse("'since' is no schema version");
      since = static_cast<int>(*version);
    } else if (!line.empty() && !line.starts_with("--")) {
      if (name.empty()) throw refuse("a text without a name");
      const bool last = line.ends_with(';');
      if (last) line.remove_suffix(1);
      text += (text.empty() ? "" : " ") + std::string(line);
      if (!last) continue;
      if (!preset.texts_[name].emplace(since, std::move(text)).second) throw refuse("the same name and 'since' again");
      text.clear();
      name.clear();
    }
  }
  if (!text.empty()) throw refuse("the last text has no ';'");
  return preset;
}

const std::string& Preset::text(std::string_view name, int version) const {
  const auto versions = texts_.find(name);
  if (versions == texts_.end()) throw std::runtime_error(fmt::format("the preset has no text '{}'", name));
  auto next = versions->second.upper_bound(version);
  if (next == versions->second.begin()) {
    throw std::runtime_error(fmt::format("the preset has no text '{}' for schema version {}", name, version));
  }
  return std::prev(next)->second;
}

bool Preset::has(std::string_view name, int version) const {
  const auto versions = texts_.find(name);
  return versions != texts_.end() && versions->second.begin()->first <= version;
}

std::string expand_keys(const std::string& text, std::size_t keys, std::size_t& uses) {
  return expand(text, ":keys", "?", ",", keys, uses);
}

std::string expand_spans(const std::string& text, std::size_t spans) {
  std::size_t uses = 0;
  return expand(text, ":spans", "id BETWEEN CAST(? AS UNSIGNED) AND CAST(? AS UNSIGNED)", " OR ", spans, uses);
}

}  // namespace vmail::directory
