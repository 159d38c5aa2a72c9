#include "shared/directory/map_query.h"

#include <algorithm>
#include <array>

#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/config/config.h"
#include "shared/directory/idn.h"

namespace vmail::directory {
namespace {

constexpr std::array<std::string_view, 4> kParts = {"key", "local", "user", "domain"};  // by MapQuery::Part

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool begins_with_word(std::string_view text, std::string_view word) {
  return text.size() > word.size() && equal_ignoring_ascii_case(text.substr(0, word.size()), word) &&
         !is_letter(text[word.size()]);
}

// Behind a quoted text or name that begins at `at`, or npos when it does not end. A doubled quote is two of them.
std::size_t skip_quoted(std::string_view text, std::size_t at) {
  const char quote = text[at];
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\' && quote != '`') {
      ++at;
    } else if (text[at] == quote) {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

// Behind a comment that begins at `at`, or `at` when none does. One that does not end goes on to the end.
std::size_t skip_comment(std::string_view text, std::size_t at) {
  const auto behind = [&](std::string_view end) {
    const auto found = text.find(end, at + 1);
    return found == std::string_view::npos ? text.size() : found + end.size();
  };
  if (text[at] == '#') return behind("\n");
  if (text.substr(at, 2) == "/*") return behind("*/");
  const bool dashes =
      text.substr(at, 2) == "--" && (at + 2 == text.size() || static_cast<unsigned char>(text[at + 2]) <= ' ');
  return dashes ? behind("\n") : at;
}

}  // namespace

MapQuery::MapQuery(const config::QueryMap& map) {
  const auto fail = [&](const std::string& what) {
    throw config::SettingError("maps.query", "the query of the map \"" + printable(map.name) + "\" " + what);
  };
  const std::string_view text = trim(map.query);
  if (!begins_with_word(text, "select") && !begins_with_word(text, "with")) fail("must begin with SELECT");
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    std::size_t next = at + 1;
    if (c == '\'' || c == '"' || c == '`') {
      next = skip_quoted(text, at);
      if (next == std::string_view::npos) fail("has a quote that is not closed");
    } else if (const auto behind = skip_comment(text, at); behind != at) {
      next = behind;
    } else if (c == ';') {
      fail("has a ';': it must be one SELECT alone");
    } else if (c == '?') {
      fail("has a '?': write :key, :local, :user or :domain");
    } else if (c == ':' && next < text.size() && is_letter(text[next])) {
      while (next < text.size() && is_letter(text[next])) ++next;
      const auto name = text.substr(at + 1, next - at - 1);
      const auto part = std::find(kParts.begin(), kParts.end(), name);
      if (part == kParts.end()) {
        fail("names :" + printable(name) + "; there are :key, :local, :user and :domain");
      }
      parameters_.push_back(static_cast<Part>(part - kParts.begin()));
      sql_ += '?';
      at = next;
      continue;
    }
    sql_.append(text.substr(at, next - at));
    at = next;
  }
  if (parameters_.empty()) fail("asks the same for every key: it has none of :key, :local, :user and :domain");
}

std::optional<std::vector<std::string>> MapQuery::bind(std::string_view key, std::string_view delimiters) const {
  const auto at = key.rfind('@');
  const bool is_address = at != std::string_view::npos && at > 0 && at + 1 < key.size();
  std::vector<std::string> values;
  values.reserve(parameters_.size());
  for (const Part part : parameters_) {
    if (part != Part::Key && !is_address) return std::nullopt;
    switch (part) {
      case Part::Key:
        values.emplace_back(key);
        break;
      case Part::Local:
        values.emplace_back(key.substr(0, at));
        break;
      case Part::User:
        values.emplace_back(split_extension(key.substr(0, at), delimiters).user);
        break;
      case Part::Domain:
        values.emplace_back(key.substr(at + 1));
        break;
    }
  }
  return values;
}

bool map_key(std::string_view asked, std::string& key) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (asked.empty() || asked.size() > kMaxAddress || !is_utf8(asked)) return false;
  if (std::any_of(asked.begin(), asked.end(), is_control)) return false;
  if (const auto address = parse_address(asked)) {
    key = address->local + '@' + a_label(address->domain);
  } else {
    key = fold_case(asked);
    // A bare domain, perhaps; two '@' or a quote that is not closed are left as they are.
    if (key.find('@') == std::string::npos) key = a_label(key);
  }
  return true;
}

}  // namespace vmail::directory
