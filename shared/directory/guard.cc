#include "shared/directory/guard.h"

#include <utility>

#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

constexpr std::size_t kFew = 10;
constexpr Duration kReminder = std::chrono::minutes(10);

}  // namespace

bool Guard::plausible(std::size_t before, std::size_t now) const {
  if (confirmed_ || now >= before) return true;
  if (before < kFew) return now > 0 || before < 2;
  return (before - now) * 100 <= before * max_loss_;
}

void Guard::trip(const std::string& what) {
  const bool first = !std::exchange(tripped_, true);
  if (first) since_ = clock_.wall();
  what_ = what;
  if (!first && clock_.now() - last_logged_ < kReminder) return;
  last_logged_ = clock_.now();
  log::error(
      "guard-tripped: {}; what was known before is served on. If that is no mistake: vmailctl cache confirm; else put "
      "the rows back",
      what);
}

bool Guard::confirm() {
  if (!std::exchange(tripped_, false)) return false;
  confirmed_ = true;
  log::warning("guard-confirmed: an administrator says that it is no mistake: {}", what_);
  return true;
}

void Guard::accepted() {
  confirmed_ = false;
  if (std::exchange(tripped_, false)) log::warning("guard-recovered: what was missed is there again");
}

}  // namespace vmail::directory
