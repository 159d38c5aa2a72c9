// Reads vmailkit.toml into Settings. Every error names file, line and key, and what would be right.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "shared/config/settings.h"

namespace vmail::config {

inline constexpr const char* kDefaultFile = "/etc/vmailkit/vmailkit.toml";

// what(): "FILE:LINE: section.key: what is wrong and what to do".
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A setting that turns out not to work where it is used. what(): "section.key: what is wrong and what to do".
class SettingError : public Error {
 public:
  SettingError(std::string key, const std::string& what) : Error(key + ": " + what), key_(std::move(key)) {}
  const std::string& key() const { return key_; }

 private:
  std::string key_;
};

// What was wrong with the settings of `file`, with the place of a SettingError in front: "FILE:LINE: ", or "FILE: " for
// a setting that is not in the file, and so has its default. Reads the file again.
std::string tell(const Error& error, const std::string& file);

// Throws Error. Blocking file I/O; not for the loop once it serves.
Settings load(const std::string& file);
// The same for a text; `name` stands for the file in errors.
Settings parse(const std::string& text, const std::string& name);

// All settings with their values as a file that load() takes, each with its explanation (`--print-config`).
std::string print(const Settings& settings);
// The settings as the body of vmailkit.toml(5), in man(7) macros.
std::string manual();

}  // namespace vmail::config
