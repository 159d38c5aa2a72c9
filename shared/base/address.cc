#include "shared/base/address.h"

#include "shared/base/text.h"

namespace vmail {
namespace {

bool has_control(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

bool is_ascii_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// RFC 5322 section 3.2.3, and RFC 6532 section 3.2 for what is not ASCII.
bool is_atext(char c) {
  constexpr std::string_view kSpecial = "!#$%&'*+-/=?^_`{|}~";
  return is_ascii_alnum(c) || kSpecial.find(c) != std::string_view::npos || static_cast<unsigned char>(c) >= 0x80;
}

// The internal form of a quoted string; nothing when it is not one, whole (RFC 5321 section 4.1.2).
std::optional<std::string> unquote(std::string_view quoted) {
  if (quoted.size() < 2 || quoted.back() != '"') return std::nullopt;
  std::string out;
  for (std::size_t i = 1; i + 1 < quoted.size(); ++i) {
    if (quoted[i] == '"') return std::nullopt;
    if (quoted[i] == '\\' && ++i + 1 >= quoted.size()) return std::nullopt;
    out += quoted[i];
  }
  return out;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  Address address;
  if (!parse_address(text, address)) return std::nullopt;
  return address;
}

bool parse_address(std::string_view text, Address& into) {
  if (text.size() > kMaxAddress || has_control(text) || !is_utf8(text)) return false;
  const auto at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size()) return false;
  const std::string_view domain = text.substr(at + 1);
  if (domain.front() == '[' || domain.find(' ') != std::string_view::npos) return false;

  const std::string_view local = text.substr(0, at);
  if (local.front() == '"') {
    const auto unquoted = unquote(local);
    if (!unquoted || unquoted->empty()) return false;
    fold_case(*unquoted, into.local);
  } else {
    if (local.find('@') != std::string_view::npos) return false;
    fold_case(local, into.local);
  }
  fold_case(domain, into.domain);
  return true;
}

LocalPart split_extension(std::string_view local, std::string_view delimiters) {
  const auto at = local.find_first_of(delimiters);
  if (at == std::string_view::npos || at == 0) return {local, {}};
  return {local.substr(0, at), local.substr(at)};
}

std::optional<std::string> why_not_a_domain(std::string_view domain) {
  if (domain.empty()) return "it is empty";
  if (domain.size() > 253) return "it is longer than 253 characters";
  if (!is_utf8(domain)) return "it is not UTF-8";
  if (domain.find('@') != std::string_view::npos) return "a domain has no '@'";
  const auto labels = split(domain, '.');
  if (labels.size() < 2) return "it has only one label (a mail domain looks like example.org)";
  for (const auto& label : labels) {
    if (label.empty()) return "it has an empty label (two dots in a row, or a dot at the start or end)";
    if (label.size() > 63) return "a label is longer than 63 characters";
    if (label.front() == '-' || label.back() == '-') return "a label begins or ends with '-'";
    for (const char c : label) {
      if (!is_ascii_alnum(c) && c != '-' && c != '_' && static_cast<unsigned char>(c) < 0x80) {
        return "'" + printable(std::string_view(&c, 1)) + "' may not stand in a domain";
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> why_not_a_local_part(std::string_view local) {
  if (local.empty()) return "the part before the '@' is empty";
  if (local.size() > kMaxLocalPart) return "the part before the '@' is longer than 64 characters";
  if (!is_utf8(local)) return "it is not UTF-8";
  if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos) {
    return "a dot may not stand first, last or next to another dot";
  }
  for (const char c : local) {
    if (c == '/') return "'/' cannot stand in the name of a Maildir";
    if (!is_atext(c) && c != '.') return "'" + printable(std::string_view(&c, 1)) + "' may not stand in an address";
  }
  return std::nullopt;
}

}  // namespace vmail
