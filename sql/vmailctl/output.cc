#include "sql/vmailctl/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "shared/base/text.h"

namespace vmail::sql {
namespace {

constexpr std::size_t kLongestCell = 1000;

// What comes from the database may hold anything; it must not reach a terminal as control characters.
std::string cell(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string())
    return value.get<std::string>().empty() ? "-" : printable(value.get<std::string>(), kLongestCell);
  if (value.is_array()) {
    std::string text;
    for (const auto& item : value) {
      if (!text.empty()) text += ", ";
      text += cell(item);
    }
    return text.empty() ? "-" : text;
  }
  return value.dump();
}

std::string cell(const Json& object, const std::string& key) {
  const auto at = object.find(key);
  return at == object.end() ? "-" : cell(*at);
}

// In characters, as a terminal shows them.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t to) {
  return text + std::string(to - width(text), ' ');
}

std::string dump(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void Output::table(const std::vector<Column>& columns, const Json& rows) {
  if (json_) {
    out_ << dump(rows) << '\n';
    return;
  }
  std::vector<std::vector<std::string>> lines(1);
  for (const auto& column : columns) lines[0].push_back(column.title);
  for (const auto& row : rows) {
    auto& line = lines.emplace_back();
    for (const auto& column : columns) line.push_back(cell(row, column.key));
  }
  std::vector<std::size_t> widths(columns.size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  }
  for (const auto& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) out_ << padded(line[i], widths[i]) << "  ";
    out_ << line.back() << '\n';
  }
}

void Output::record(const std::vector<Column>& columns, const Json& object) {
  if (json_) {
    out_ << dump(object) << '\n';
    return;
  }
  std::size_t widest = 0;
  for (const auto& column : columns) widest = std::max(widest, width(column.title));
  for (const auto& column : columns)
    out_ << padded(column.title + ':', widest + 1) << ' ' << cell(object, column.key) << '\n';
}

void Output::done(const std::string& sentence, const Json& result) {
  text(sentence);
  object(result);
}

void Output::text(const std::string& text) {
  if (!json_) out_ << text << '\n';
}

void Output::object(const Json& object) {
  if (json_) out_ << dump(object) << '\n';
}

void Output::note(const std::string& text) {
  err_ << "vmailctl: " << text << '\n';
}

void Output::error(const std::string& what, const std::string& hint) {
  if (json_) {
    Json error = {{"error", what}};
    if (!hint.empty()) error["hint"] = hint;
    out_ << dump(error) << '\n';
    return;
  }
  err_ << "vmailctl: " << what << '\n';
  if (!hint.empty()) err_ << "  " << hint << '\n';
}

}  // namespace vmail::sql
