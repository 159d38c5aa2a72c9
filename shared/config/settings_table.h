// The one table of settings: from it come the parser, --print-config and the manual page.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shared/config/settings.h"

namespace vmail::config {

using Field = std::variant<bool*, std::uint64_t*, Milliseconds*, Bytes*, std::string*, std::vector<std::string>*,
                           std::vector<QueryMap>*>;

struct Setting {
  std::string_view section;
  std::string_view key;
  std::string_view help;  // sentences for the manual page and --print-config
  std::function<Field(Settings&)> field;
  // For numbers, times (milliseconds) and sizes (bytes).
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  std::vector<std::string_view> choices = {};  // for texts that are one of a few words
  // For texts and each text of a list: what is wrong with it, or empty.
  std::function<std::string(const std::string&)> check = {};
};

struct Section {
  std::string_view name;
  std::string_view help;
};

const std::vector<Section>& sections();
const std::vector<Setting>& settings_table();

// "2s", "500ms", "5m", "1h", "7d"; "64MiB", "10KiB", "512". As written in the file and printed back.
std::string duration_text(Milliseconds value);
std::string bytes_text(Bytes value);

}  // namespace vmail::config
