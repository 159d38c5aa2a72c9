#include "shared/maildir/names.h"

#include <unistd.h>

#include <chrono>
#include <limits>

#include "shared/base/text.h"

namespace vmail::maildir {
namespace {

constexpr std::uint64_t kSecond = 1000000;
constexpr std::size_t kMaxHost = 128;  // leaves room for the rest within 255 bytes

// Takes "<mark><digits>" off the front.
std::optional<std::uint64_t> take_number(std::string_view& text, std::string_view mark) {
  if (text.substr(0, mark.size()) != mark) return std::nullopt;
  text.remove_prefix(mark.size());
  const auto number = parse_number(text.substr(0, text.find_first_not_of("0123456789")));
  if (number) text.remove_prefix(std::min(text.find_first_not_of("0123456789"), text.size()));
  return number;
}

}  // namespace

std::string escape_host(std::string_view host) {
  std::string out;
  for (const char c : host) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte > 0x20 && byte < 0x7f && c != '/' && c != ':' && c != ',' && c != '\\';
    if (out.size() + (plain ? 1 : 4) > kMaxHost) break;
    if (plain) {
      out += c;
    } else {
      out += '\\';
      for (const int shift : {6, 3, 0}) out += static_cast<char>('0' + (byte >> shift & 7));
    }
  }
  return out.empty() ? "localhost" : out;
}

Names::Names(const Clock& clock, std::string_view host) : clock_(clock), host_(escape_host(host)), pid_(::getpid()) {}

std::string Names::next(std::uint64_t size, std::uint64_t vsize) {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  const auto now = static_cast<std::uint64_t>(duration_cast<microseconds>(clock_.wall().time_since_epoch()).count());
  // Later than the last one, also when two come in one microsecond or the clock was set back.
  std::uint64_t last = last_.load();
  std::uint64_t mine = 0;
  do {
    mine = std::max(now, last + 1);
  } while (!last_.compare_exchange_weak(last, mine));

  std::string name = std::to_string(mine / kSecond);
  name += ".M" + std::to_string(mine % kSecond);
  name += 'P' + std::to_string(pid_);
  name += 'Q' + std::to_string(++count_);
  name += '.' + host_;
  name += ",S=" + std::to_string(size);
  name += ",W=" + std::to_string(vsize);
  return name;
}

std::optional<ParsedName> parse_name(std::string_view name) {
  const auto seconds = take_number(name, "");
  const auto micros = take_number(name, ".M");
  const auto pid = take_number(name, "P");
  const auto count = take_number(name, "Q");
  if (!seconds || !micros || !pid || !count || name.substr(0, 1) != ".") return std::nullopt;
  if (*seconds > std::numeric_limits<std::int64_t>::max() || *pid > std::numeric_limits<pid_t>::max()) {
    return std::nullopt;
  }
  const std::string_view host = name.substr(1, name.find(',') - 1);
  if (host.empty()) return std::nullopt;
  return ParsedName{static_cast<std::int64_t>(*seconds), static_cast<pid_t>(*pid), host};
}

}  // namespace vmail::maildir
