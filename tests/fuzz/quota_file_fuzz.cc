// maildirsize: what is read of it is what would be written, and no sum overflows. And values of quota rules.
#include <string>

#include "shared/config/limit.h"
#include "shared/maildir/quota_file.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail;

static vmail::fuzz::Reach reached_file("a file");
static vmail::fuzz::Reach reached_limits("a file with limits");
static vmail::fuzz::Reach reached_refused("a text that is none");
static vmail::fuzz::Reach reached_quota("a quota");

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = vmail::fuzz::view(data, size);
  std::string why;
  if (const auto file = maildir::parse_quota_file(text, why)) {
    reached_file.hit();
    if (file->limits.any()) reached_limits.hit();
    require(file->size == size && file->lines <= size, "its sizes are its own");
    require(file->usage.bytes <= (std::uint64_t{1} << 63) && file->usage.messages <= (std::uint64_t{1} << 63),
            "no sum overflows");
    if (file->usage.bytes <= (std::uint64_t{1} << 48) && file->usage.messages <= (std::uint64_t{1} << 48)) {
      const auto again = maildir::parse_quota_file(maildir::format_quota_file(file->limits, file->usage), why);
      require(again && again->usage == file->usage && again->limits == file->limits && again->lines == 1,
              "what is written is read again");
    }
  } else {
    reached_refused.hit();
    require(!why.empty(), "a refusal has a reason");
  }
  if (const auto quota = config::parse_quota(text)) {
    reached_quota.hit();
    require(quota->bytes <= (std::uint64_t{1} << 60) && quota->messages <= (std::uint64_t{1} << 60),
            "it can be counted");
  }
  return 0;
}
