#include "shared/config/config.h"

#include <toml++/toml.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "shared/base/text.h"
#include "shared/config/settings_table.h"

namespace vmail::config {
namespace {

// Where in the file a complaint belongs.
struct Place {
  const std::string& file;
  unsigned line;
  std::string key;

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(file + ":" + std::to_string(line) + ": " + (key.empty() ? "" : key + ": ") + what);
  }
};

std::string suggestion(std::string_view given, const std::vector<std::string_view>& known);

unsigned line_of(const toml::node& node) {
  return node.source().begin.line;
}

std::string range_text(const Setting& setting, const std::function<std::string(std::uint64_t)>& text) {
  return "must be from " + text(setting.min) + " to " + text(setting.max);
}

// A number with one of the units behind it, in the smallest unit; nothing when it is neither.
struct Unit {
  std::string_view suffix;
  std::uint64_t size;
};
std::optional<std::uint64_t> with_unit(std::string_view text, std::initializer_list<Unit> units) {
  for (const auto& unit : units) {
    if (text.size() <= unit.suffix.size() || text.substr(text.size() - unit.suffix.size()) != unit.suffix) continue;
    const auto number = parse_number(trim(text.substr(0, text.size() - unit.suffix.size())));
    if (!number || *number > std::numeric_limits<std::uint64_t>::max() / unit.size) continue;
    return *number * unit.size;
  }
  return std::nullopt;
}

std::uint64_t whole_number(const toml::node& node, const Place& place, const Setting& setting) {
  const auto value = node.value_exact<std::int64_t>();
  if (!value) place.fail("must be a whole number");
  const auto number = static_cast<std::uint64_t>(*value);
  if (*value < 0 || number < setting.min || number > setting.max) {
    place.fail(range_text(setting, [](std::uint64_t n) { return std::to_string(n); }));
  }
  return number;
}

struct Reader {
  const toml::node& node;
  const Place& place;
  const Setting& setting;

  void operator()(bool* field) const {
    const auto value = node.value_exact<bool>();
    if (!value) place.fail("must be true or false");
    *field = *value;
  }
  void operator()(std::uint64_t* field) const { *field = whole_number(node, place, setting); }
  void operator()(Milliseconds* field) const {
    const auto text = node.value_exact<std::string>();
    const auto ms =
        text ? with_unit(*text, {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}}) : std::nullopt;
    if (!ms) place.fail("must be a time in quotes, such as \"500ms\", \"2s\", \"5m\", \"1h\" or \"7d\"");
    if (*ms < setting.min || *ms > setting.max) {
      place.fail(range_text(setting, [](std::uint64_t n) { return duration_text(Milliseconds(n)); }));
    }
    *field = Milliseconds(*ms);
  }
  void operator()(Bytes* field) const {
    const auto text = node.value_exact<std::string>();
    std::optional<std::uint64_t> count;
    if (const auto number = node.value_exact<std::int64_t>(); number && *number >= 0) {
      count = static_cast<std::uint64_t>(*number);
    } else if (text) {
      count =
          with_unit(*text, {{"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}, {"TiB", std::uint64_t{1} << 40}});
      if (!count) count = parse_number(*text);
    }
    if (!count) place.fail("must be a size, such as \"512KiB\", \"64MiB\" or a number of bytes");
    field->count = *count;
    if (field->count < setting.min || field->count > setting.max) {
      place.fail(range_text(setting, [](std::uint64_t n) { return bytes_text(Bytes{n}); }));
    }
  }
  void operator()(std::string* field) const { *field = text_of(node); }
  void operator()(std::vector<std::string>* field) const {
    const auto* array = node.as_array();
    if (array == nullptr) place.fail("must be a list of texts in brackets, such as [\"...\"]");
    field->clear();
    for (const auto& element : *array) field->push_back(text_of(element));
  }
  void operator()(std::vector<QueryMap>* field) const {
    const auto* array = node.as_array();
    if (array == nullptr || !(array->empty() || array->is_homogeneous(toml::node_type::table))) {
      place.fail("is a list of maps: write [[" + place.key + "]] on a line of its own, and name and query below it");
    }
    field->clear();
    for (const auto& element : *array) {
      QueryMap map;
      for (const auto& [key, value] : *element.as_table()) {
        const Place within{place.file, line_of(value), place.key + "." + std::string(key.str())};
        std::string* part = key.str() == "name" ? &map.name : key.str() == "query" ? &map.query : nullptr;
        if (part == nullptr) within.fail("there is no such setting; " + suggestion(key.str(), {"name", "query"}));
        *part = Reader{value, within, setting}.text_of(value);
      }
      const Place whole{place.file, line_of(element), place.key};
      if (map.name.empty()) whole.fail("lacks a name");
      if (map.query.empty()) whole.fail("the map \"" + printable(map.name) + "\" lacks a query");
      for (const auto& other : *field) {
        if (other.name == map.name) whole.fail("there are two maps \"" + printable(map.name) + "\"");
      }
      field->push_back(std::move(map));
    }
  }

 private:
  std::string text_of(const toml::node& element) const {
    const auto text = element.value_exact<std::string>();
    if (!text) place.fail("must be a text in quotes");
    if (text->find('\0') != std::string::npos) place.fail("holds a NUL character");
    if (!setting.choices.empty()) {
      std::string known;
      for (const auto& choice : setting.choices) {
        if (*text == choice) return *text;
        known.append(known.empty() ? "" : ", ").append(choice);
      }
      place.fail("\"" + printable(*text) + "\" is not one of: " + known);
    }
    if (setting.check) {
      const std::string wrong = setting.check(*text);
      if (!wrong.empty()) place.fail("\"" + printable(*text) + "\" " + wrong);
    }
    return *text;
  }
};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// " (did you mean ...?)" for a slip of a letter or two, else the names there are.
std::string suggestion(std::string_view given, const std::vector<std::string_view>& known) {
  std::string all;
  for (const auto& name : known) {
    if (edit_distance(given, name) <= 2) return "did you mean \"" + std::string(name) + "\"?";
    all.append(all.empty() ? "" : ", ").append(name);
  }
  return "known are: " + all;
}

void read_section(const toml::table& table, const std::string& section, const std::string& file, Settings& settings) {
  for (const auto& [key, node] : table) {
    const Place place{file, line_of(node), section + "." + std::string(key.str())};
    const Setting* found = nullptr;
    std::vector<std::string_view> known;
    for (const auto& setting : settings_table()) {
      if (setting.section != section) continue;
      known.push_back(setting.key);
      if (setting.key == key.str()) found = &setting;
    }
    if (found == nullptr) place.fail("there is no such setting; " + suggestion(key.str(), known));
    std::visit(Reader{node, place, *found}, found->field(settings));
  }
}

std::string quoted(const std::string& text) {
  std::ostringstream out;
  out << toml::value<std::string>(text);
  return out.str();
}

std::string placed(const SettingError& error, const toml::table& root, const std::string& file) {
  const auto node = root.at_path(error.key());
  return file + (node ? ":" + std::to_string(line_of(*node.node())) : "") + ": " + error.what();
}

struct Printer {
  std::string operator()(const bool* field) const { return *field ? "true" : "false"; }
  std::string operator()(const std::uint64_t* field) const { return std::to_string(*field); }
  std::string operator()(const Milliseconds* field) const { return '"' + duration_text(*field) + '"'; }
  std::string operator()(const Bytes* field) const { return '"' + bytes_text(*field) + '"'; }
  std::string operator()(const std::string* field) const { return quoted(*field); }
  std::string operator()(const std::vector<std::string>* field) const {
    std::string list;
    for (const auto& text : *field) list += (list.empty() ? "" : ", ") + quoted(text);
    return "[" + list + "]";
  }
  std::string operator()(const std::vector<QueryMap>* field) const {
    std::string list;
    for (const auto& map : *field) {
      list += (list.empty() ? "" : ", ") + ("{name = " + quoted(map.name) + ", query = " + quoted(map.query) + "}");
    }
    return "[" + list + "]";
  }
};

std::string value_text(const Setting& setting, const Settings& settings) {
  auto& writable = const_cast<Settings&>(settings);  // the table hands out fields for both directions
  return std::visit(Printer{}, setting.field(writable));
}

}  // namespace

std::string tell(const Error& error, const std::string& file) {
  const auto* of_setting = dynamic_cast<const SettingError*>(&error);
  if (of_setting == nullptr) return error.what();
  toml::table root;
  try {
    root = toml::parse_file(file);
  } catch (const toml::parse_error&) {
    // It could be read a moment ago; without the line, then.
  }
  return placed(*of_setting, root, file);
}

Settings parse(const std::string& text, const std::string& name) {
  Settings settings;
  toml::table root;
  try {
    root = toml::parse(text);
    for (const auto& [key, node] : root) {
      const std::string section(key.str());
      const Place place{name, line_of(node), section};
      std::vector<std::string_view> known;
      bool found = false;
      for (const auto& entry : sections()) {
        known.push_back(entry.name);
        found = found || entry.name == section;
      }
      if (!found) place.fail("there is no such section; " + suggestion(section, known));
      const auto* table = node.as_table();
      if (table == nullptr) place.fail("is a section: write [" + section + "] on a line of its own");
      read_section(*table, section, name, settings);
    }
  } catch (const toml::parse_error& error) {
    throw Error(name + ":" + std::to_string(error.source().begin.line) +
                ": not valid TOML: " + std::string(error.description()));
  }
  const auto refuse = [&](const char* key, const char* what) { throw Error(placed({key, what}, root, name)); };
  if (settings.database.hosts.empty()) refuse("database.hosts", "at least one host is needed");
  if (settings.database.retry_after > settings.database.retry_after_max) {
    refuse("database.retry_after", "is longer than database.retry_after_max");
  }
  return settings;
}

Settings load(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) {
    throw Error(file + ": cannot be read: " + std::strerror(errno) +
                (errno == ENOENT ? "; --config FILE names another" : ""));
  }
  std::ostringstream text;
  // An empty file is good, everything has a default; but copying nothing would count as a failure.
  if (stream.peek() != std::ifstream::traits_type::eof()) text << stream.rdbuf();
  if (stream.bad() || text.fail()) throw Error(file + ": cannot be read; is it a regular file?");
  return parse(text.str(), file);
}

std::string print(const Settings& settings) {
  std::string out;
  for (const auto& section : sections()) {
    out.append(out.empty() ? "" : "\n").append("# ").append(section.help).append("\n[").append(section.name) += "]\n";
    for (const auto& setting : settings_table()) {
      if (setting.section != section.name) continue;
      out.append("# ").append(setting.help).append("\n").append(setting.key).append(" = ");
      out += value_text(setting, settings) + "\n";
    }
  }
  return out;
}

std::string manual() {
  const auto escape = [](std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (c == '\\') {
        out += "\\e";
      } else if (c == '-') {
        out += "\\-";
      } else {
        out += c;
      }
    }
    return out;
  };
  const Settings defaults;
  std::string out;
  for (const auto& section : sections()) {
    out += ".SS [" + escape(section.name) + "]\n" + escape(section.help) + "\n";
    for (const auto& setting : settings_table()) {
      if (setting.section != section.name) continue;
      out += ".TP\n.B " + escape(setting.key) + "\n" + escape(setting.help) +
             "\n.br\nDefault: " + escape(value_text(setting, defaults)) + "\n";
    }
  }
  return out;
}

}  // namespace vmail::config
