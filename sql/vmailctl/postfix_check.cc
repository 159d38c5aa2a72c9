#include "sql/vmailctl/postfix_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"

namespace vmail::sql {
namespace {

constexpr std::string_view kSocketmap = "socketmap:unix:";

// Words of a parameter, separated by commas and blanks; braces and brackets hold what is none of ours.
std::vector<std::string> values_in(std::string text) {
  for (char& c : text) {
    if (c == ',' || c == '\t' || c == '{' || c == '}') c = ' ';
  }
  return words(text);
}

std::string value_of(const Parameters& parameters, std::string_view name) {
  const auto found = parameters.find(name);
  return found == parameters.end() ? "" : found->second;
}

std::string sorted(std::string text) {
  std::sort(text.begin(), text.end());
  return text;
}

bool has_word(const std::vector<std::string>& list, const char* word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

Parameters read_parameters(std::string_view postconf) {
  Parameters parameters;
  for (const auto& line : split(postconf, '\n')) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    parameters[std::string(trim(std::string_view(line).substr(0, equals)))] =
        trim(std::string_view(line).substr(equals + 1));
  }
  return parameters;
}

std::vector<NamedMap> maps_on(const Parameters& parameters, const std::string& socket) {
  const std::string queue = value_of(parameters, "queue_directory") + '/';
  std::vector<NamedMap> found;
  for (const auto& [name, value] : parameters) {
    if (name == "proxy_read_maps") continue;  // it repeats the others
    for (const auto& word : values_in(value)) {
      const auto at = word.find(kSocketmap);  // perhaps behind "proxy:"
      const auto colon = word.rfind(':');
      if (at == std::string::npos || colon < at + kSocketmap.size()) continue;
      const std::string path = word.substr(at + kSocketmap.size(), colon - at - kSocketmap.size());
      if (path == socket || queue + path == socket) found.push_back({name, word.substr(colon + 1)});
    }
  }
  return found;
}

std::vector<Finding> judge_postfix(const Parameters& parameters, const config::Settings& settings,
                                   const std::vector<NamedMap>& maps) {
  std::vector<Finding> findings;
  const auto find = [&](Level level, const std::string& text) { findings.push_back({level, text}); };
  const auto asks = [&](const char* parameter) {
    return std::any_of(maps.begin(), maps.end(), [&](const auto& map) { return map.parameter == parameter; });
  };

  const std::string delimiter = value_of(parameters, "recipient_delimiter");
  const std::string& ours = settings.addresses.recipient_delimiter;
  if (sorted(delimiter) != sorted(ours)) {
    find(
        Level::Critical,
        fmt::format("recipient_delimiter is \"{}\" in main.cf and \"{}\" in [addresses] of vmailkit.toml: an extension "
                    "that one of them takes off is part of the address for the other; make them the same",
                    printable(delimiter), printable(ours)));
  }
  const auto propagated = values_in(value_of(parameters, "propagate_unmatched_extensions"));
  const bool propagates = settings.addresses.propagate_extension;
  for (const char* kind : {"canonical", "virtual"}) {
    if (has_word(propagated, kind) == propagates) continue;
    find(Level::Warning,
         fmt::format("propagate_unmatched_extensions of main.cf {} {}, and propagate_extension in [addresses] of "
                     "vmailkit.toml is {}: of the maps here the latter counts, for both kinds",
                     propagates ? "is without" : "has", kind, propagates));
  }
  if (asks("virtual_mailbox_maps") && value_of(parameters, "virtual_transport") == "virtual") {
    find(
        Level::Critical,
        "virtual_transport is virtual(8), which takes no socketmap and would defer all mail: write virtual_transport = "
        "lmtp:unix:vmailkit/lmtp, or the LMTP server of your Dovecot");
  }
  if (asks("virtual_alias_domains")) {
    find(Level::Warning,
         "virtual_alias_domains is what virtual_alias_maps is, so that each domain is looked up there too: write "
         "virtual_alias_domains = with nothing behind it");
  }
  return findings;
}

}  // namespace vmail::sql
