// Whether main.cf and vmailkit.toml agree, from what postconf(1) prints. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shared/config/settings.h"
#include "sql/vmailctl/health.h"

namespace vmail::sql {

using Parameters = std::map<std::string, std::string, std::less<>>;
// Lines "name = value", as `postconf -x` prints them.
Parameters read_parameters(std::string_view postconf);

// A map of ours that a parameter names.
struct NamedMap {
  std::string parameter;
  std::string map;
};
// Those on that socket (a path), in the order of the parameters; relative paths are below queue_directory.
std::vector<NamedMap> maps_on(const Parameters& parameters, const std::string& socket);

// What does not agree, and what to write instead.
std::vector<Finding> judge_postfix(const Parameters& parameters, const config::Settings& settings,
                                   const std::vector<NamedMap>& maps);

}  // namespace vmail::sql
