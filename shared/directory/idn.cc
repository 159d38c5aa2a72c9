#include "shared/directory/idn.h"

#include <idn2.h>

#include <algorithm>

#include "shared/base/address.h"
#include "shared/base/text.h"

namespace vmail::directory {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string taken(int status, char* converted, const std::string& otherwise) {
  if (status != IDN2_OK) return otherwise;
  std::string text = converted;
  idn2_free(converted);
  return text;
}

}  // namespace

std::string a_label(std::string_view domain) {
  std::string text;
  a_label(domain, text);
  return text;
}

void a_label(std::string_view domain, std::string& text) {
  text.assign(domain);
  if (is_ascii(text)) return;
  char* converted = nullptr;
  // No STD3 rules: an underscore in a name that works elsewhere is not our business.
  const int status = idn2_to_ascii_8z(text.c_str(), &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  text = taken(status, converted, text);
}

std::string u_label(std::string_view domain) {
  std::string text(domain);
  if (text.find("xn--") == std::string::npos) return text;
  char* converted = nullptr;
  const int status = idn2_to_unicode_8z8z(text.c_str(), &converted, 0);
  return taken(status, converted, text);
}

std::string address_key(std::string_view stored) {
  if (stored.starts_with('@')) {
    const std::string_view domain = stored.substr(1);
    if (domain.empty() || domain.size() > kMaxAddress || !is_utf8(domain)) return "";
    if (domain.find_first_of("@ \t\r\n[") != std::string_view::npos) return "";
    return '@' + a_label(fold_case(domain));
  }
  const auto address = parse_address(stored);
  return address ? address->local + '@' + a_label(address->domain) : "";
}

}  // namespace vmail::directory
