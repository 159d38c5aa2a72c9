// The files of sql/presets, built into the program (see CMakeLists.txt).
#pragma once

#include <span>
#include <string_view>

namespace vmail::directory {

struct PresetFile {
  std::string_view name;  // without .sql
  std::string_view text;
};
std::span<const PresetFile> preset_files();

}  // namespace vmail::directory
