#include "shared/maildir/folder_name.h"

#include <algorithm>
#include <cstdint>

#include "shared/base/text.h"

namespace vmail::maildir {
namespace {

constexpr std::size_t kMaxName = 255;  // NAME_MAX
// Dovecot's subscriptions in version 2 (lib-storage/list/subscription-file.c): parts of a name are split by tabs.
constexpr std::string_view kVersion2 = "V\t2\n\n";

// Takes one character off the front of valid UTF-8.
std::uint32_t take_character(std::string_view& text) {
  const auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at])); };
  const std::uint32_t first = byte(0);
  const std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  std::uint32_t character = length == 1 ? first : first & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) character = character << 6 | (byte(i) & 0x3f);
  text.remove_prefix(length);
  return character;
}

// "&...-" of RFC 3501: UTF-16 in base64 with ',' for '/' and without padding.
class Shifted {
 public:
  explicit Shifted(std::string& out) : out_(out) {}
  void add(std::uint32_t character) {
    if (!open_) out_ += '&';
    open_ = true;
    if (character >= 0x10000) {
      unit(0xd800 + ((character - 0x10000) >> 10));
      unit(0xdc00 + ((character - 0x10000) & 0x3ff));
    } else {
      unit(character);
    }
  }
  void close() {
    if (!open_) return;
    if (bits_ > 0) sextet(held_ << (6 - bits_));
    out_ += '-';
    open_ = false;
    bits_ = held_ = 0;
  }

 private:
  void unit(std::uint32_t unit) {
    held_ = held_ << 16 | unit;
    for (bits_ += 16; bits_ >= 6; bits_ -= 6) sextet(held_ >> (bits_ - 6));
    held_ &= (1u << bits_) - 1;
  }
  void sextet(std::uint32_t value) {
    out_ += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,"[value & 0x3f];
  }

  std::string& out_;
  bool open_ = false;
  std::uint32_t held_ = 0, bits_ = 0;  // at most 5 bits between two units
};

std::string to_utf7(std::string_view text) {
  std::string out;
  Shifted shifted(out);
  while (!text.empty()) {
    const std::uint32_t character = take_character(text);
    if (character >= 0x20 && character <= 0x7e) {
      shifted.close();
      out += static_cast<char>(character);
      if (character == '&') out += '-';
    } else {
      shifted.add(character);
    }
  }
  shifted.close();
  return out;
}

bool is_good_part(std::string_view part) {
  // IMAP's wildcards, and what Dovecot would take for somebody's home.
  return !part.empty() && part.front() != '~' && part.find_first_of("*%") == std::string_view::npos;
}

}  // namespace

std::optional<std::string> folder_name(std::string_view text, FolderNames spelling) {
  if (text.empty() || text.size() > kMaxName || !is_utf8(text)) return std::nullopt;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
  }
  std::string dotted(text);
  std::replace(dotted.begin(), dotted.end(), '/', '.');
  const auto parts = split(dotted, '.');
  if (!std::all_of(parts.begin(), parts.end(), is_good_part)) return std::nullopt;
  if (equal_ignoring_ascii_case(parts.front(), "INBOX")) {
    return parts.size() == 1 ? std::optional(std::string()) : std::nullopt;
  }
  std::string name = '.' + (spelling == FolderNames::Utf7 ? to_utf7(dotted) : dotted);
  return name.size() <= kMaxName ? std::optional(std::move(name)) : std::nullopt;
}

std::optional<std::string> subscribe(std::string_view subscriptions, std::string_view folder) {
  const bool version2 = subscriptions.substr(0, kVersion2.size()) == kVersion2;
  std::string line(folder.substr(1));
  if (version2) std::replace(line.begin(), line.end(), '.', '\t');
  for (const std::string& known : split(subscriptions, '\n')) {
    if (known == line) return std::nullopt;
  }
  std::string out(subscriptions);
  if (!out.empty() && out.back() != '\n') out += '\n';
  return out + line + '\n';
}

}  // namespace vmail::maildir
