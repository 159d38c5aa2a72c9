// Addresses as paths: none leads out of the base, and no two to one place. The first line is the pattern.
#include <filesystem>
#include <string>

#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/maildir/names.h"
#include "shared/maildir/path.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail;

static vmail::fuzz::Reach reached_path("a path");
static vmail::fuzz::Reach reached_refused("a refused address");
static vmail::fuzz::Reach reached_pattern("a refused pattern");
static vmail::fuzz::Reach reached_host("an escaped host");
static vmail::fuzz::Reach reached_name("a name of ours");

namespace {

void check_path(const maildir::Layout& layout, const std::string& path) {
  reached_path.hit();
  require(path.front() != '/' && path.find('\0') == std::string::npos, "a path is relative");
  require(std::filesystem::path(path).lexically_normal() == std::filesystem::path(path), "a path goes down only");
  const auto parts = split(path, '/');
  require(parts.size() == layout.depth(), "an address changes no depth");
  for (const std::string& part : parts) {
    require(!part.empty() && part.front() != '.' && part.size() <= 255, "each part is a plain name");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = vmail::fuzz::view(data, size);
  const auto line = bytes.find('\n');
  const std::string_view pattern = bytes.substr(0, line);
  const std::string_view text = line == std::string_view::npos ? std::string_view() : bytes.substr(line + 1);

  const std::string host = maildir::escape_host(text);
  require(!host.empty() && host.size() <= 128 && host.find_first_of("/:,") == std::string::npos, "a host is one word");
  if (host.find('\\') != std::string::npos) reached_host.hit();
  if (const auto name = maildir::parse_name(text)) {
    reached_name.hit();
    require(name->pid >= 0 && name->seconds >= 0 && !name->host.empty(), "a name has all its parts");
  }

  std::string why;
  const auto layout = maildir::Layout::parse(pattern, why);
  if (!layout) {
    reached_pattern.hit();
    require(!why.empty(), "a refusal has a reason");
    return 0;
  }
  // An address as it comes by the wire, and one as a database may hold it.
  const auto at = text.rfind('@');
  const Address raw{std::string(text.substr(0, at)),
                    at == std::string_view::npos ? "" : std::string(text.substr(at + 1))};
  for (const auto& address : {parse_address(text), std::optional<Address>(raw)}) {
    if (!address) continue;
    if (const auto path = layout->path(*address)) {
      check_path(*layout, *path);
      const auto other = layout->path({address->local + 'x', address->domain});
      const auto another = layout->path({address->local, address->domain + 'x'});
      require(other != path && another != path && (!other || other != another), "each address has its own");
    } else {
      reached_refused.hit();
    }
  }
  return 0;
}
