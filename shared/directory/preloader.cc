#include "shared/directory/preloader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

// A million rows take some seconds; a database that needs longer than this has other troubles.
constexpr Duration kLoadDeadline = std::chrono::minutes(5);
constexpr Duration kRetry = std::chrono::seconds(30);
// Between two readings that changes ask for: short for those who have few rows, and a tenth of the time for the others.
constexpr Duration kMinPause = std::chrono::seconds(1);
constexpr int kPauseFactor = 10;

}  // namespace

Preloader::Preloader(Loop& loop, const Clock& clock, Database& database, RowStore& store, Guard& guard,
                     Settings settings, Dispose dispose)
    : loop_(loop),
      clock_(clock),
      database_(database),
      store_(store),
      guard_(guard),
      settings_(settings),
      dispose_(std::move(dispose)),
      timer_(loop) {}

Preloader::State Preloader::state() const {
  if (store_.preloaded()) return State::Loaded;
  return loading_ ? State::Loading : State::Off;
}

void Preloader::followed(bool is_followed) {
  if (std::exchange(followed_, is_followed) == is_followed) return;
  if (!is_followed) {
    timer_.cancel();
    reason_ = "the change feed is not followed";
  } else if (settings_.wanted) {
    load();
  } else {
    reason_ = "it is switched off";
  }
}

void Preloader::restore(std::shared_ptr<const RowSet> set, Instant read_at) {
  if (!settings_.wanted) return dispose_(std::move(set));
  dispose_(store_.preload(std::move(set), read_at));
}

void Preloader::reload() {
  if (loading_) {
    again_ = true;
  } else if (followed_ && settings_.wanted) {
    const Instant due = last_load_ + std::max<Duration>(kMinPause, last_took_ * kPauseFactor);
    next(std::max<Duration>(Duration::zero(), due - clock_.now()));
  }
}

void Preloader::load() {
  if (loading_ || stopped_ || !followed_ || !settings_.wanted) return;
  loading_ = true;
  again_ = false;
  timer_.cancel();
  const Instant began = clock_.now();
  database_.everything(settings_.max_bytes, began + kLoadDeadline, [weak = weak_from_this(), began](auto outcome) {
    if (const auto self = weak.lock()) self->loaded(began, std::move(outcome));
  });
}

void Preloader::loaded(Instant began, Outcome<Everything> outcome) {
  assert(loop_.on_loop());
  loading_ = false;
  if (stopped_) return;
  last_load_ = clock_.now();
  last_took_ = last_load_ - began;
  if (!outcome.is_found()) {
    // What there is serves on, row by row kept right by the feed; without a set, rows are asked for one by one.
    if (reason_ != outcome.reason()) log::warning("preload-failed: {}", outcome.reason());
    reason_ = outcome.reason();
    return next(std::max(kRetry, last_took_ * kPauseFactor));
  }
  auto fresh = std::move(outcome).value().rows;
  const auto& old = store_.preloaded();
  if (old && !guard_.plausible(old->size(), fresh->size())) {
    guard_.trip(fmt::format("a reading of the mailboxes and aliases has {} instead of {}", fresh->size(), old->size()));
    dispose_(std::move(fresh));
    return next(std::max(kRetry, last_took_ * kPauseFactor));
  }
  guard_.accepted();
  if (!old || !reason_.empty()) {
    log::info("preloaded rows={} bytes={} ms={}", fresh->size(), fresh->bytes(),
              std::chrono::duration_cast<std::chrono::milliseconds>(last_took_).count());
  }
  reason_.clear();
  lost_.clear();
  gained_.clear();
  dispose_(store_.preload(std::move(fresh), began));
  if (again_) return reload();
  next(settings_.interval);
}

void Preloader::next(Duration pause) {
  timer_.start(pause, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->load();
  });
}

void Preloader::check(const std::string& key, AddressRow& row) {
  const auto& set = store_.preloaded();
  if (!set) return;
  AddressRow before;
  const bool was_there = set->find(key, before);
  if (!was_there && row.empty()) gained_.erase(key);
  if (!was_there && !row.empty()) gained_.insert(key);
  if (!was_there || !row.empty()) {
    lost_.erase(key);
    return;
  }
  if (!guard_.tripped()) {
    lost_.insert(key);
    if (guard_.plausible(set->size(), set->size() - lost_.size() + gained_.size())) return;
    guard_.trip(fmt::format("{} of {} mailboxes and aliases are gone", lost_.size(), set->size()));
    // Those that were believed gone until now are served again.
    for (const auto& gone : lost_) {
      AddressRow again;
      if (set->find(gone, again)) store_.cache().put(gone, std::move(again), clock_.now(), true);
    }
  }
  row = std::move(before);
}

void Preloader::stop() {
  stopped_ = true;
  timer_.cancel();
}

}  // namespace vmail::directory
