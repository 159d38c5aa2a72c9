#include "shared/directory/refresher.h"

#include <algorithm>

#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

constexpr std::size_t kKeysAtOnce = 200;
constexpr Duration kBreath = std::chrono::milliseconds(200);  // between two readings of a comparison

}  // namespace

Refresher::Refresher(Loop& loop, const Clock& clock, Database& database, RowStore& store, const Validity& validity,
                     Times times, Put put)
    : clock_(clock),
      database_(database),
      store_(store),
      validity_(validity),
      times_(times),
      put_(std::move(put)),
      timer_(loop) {}

void Refresher::refresh(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (std::size_t from = 0; from < keys.size(); from += kKeysAtOnce) {
    const auto first = keys.begin() + static_cast<std::ptrdiff_t>(from);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kKeysAtOnce, keys.size() - from));
    ask(std::vector<std::string>(first, first + count), false);
  }
}

void Refresher::ask(std::vector<std::string> keys, bool comparing) {
  if (stopped_) return;
  const Instant began = clock_.now();
  database_.addresses(std::move(keys), began + times_.deadline,
                      [weak = weak_from_this(), began, comparing](const Outcome<AddressRows>& rows) {
                        if (const auto self = weak.lock()) self->landed(began, rows, comparing);
                      });
}

void Refresher::landed(Instant began, const Outcome<AddressRows>& rows, bool comparing) {
  // A row that could not be read stays marked, and is read when it is asked for.
  if (stopped_ || !rows.is_found()) return;
  for (const auto& [key, row] : rows.value()) {
    const auto* entry = store_.cache().peek(key);
    if (comparing && entry != nullptr && !validity_.doubted(key, entry->read_at) && !(entry->row == row)) ++missed_;
    const bool known = !row.empty() || (entry != nullptr && entry->known);
    put_(key, row, began, known);
  }
}

void Refresher::start(MoveOnlyFunction<bool()> may_ask) {
  may_ask_ = std::move(may_ask);
  comparison_began_ = clock_.now() + times_.interval;
  next(times_.interval);
}

void Refresher::step() {
  if (!may_ask_()) return next(times_.interval);
  std::vector<std::string> keys;
  bucket_ = store_.cache().walk(bucket_, kKeysAtOnce, [&](const auto& entry) {
    if (entry.read_at < comparison_began_) keys.push_back(entry.key);
  });
  if (!keys.empty()) ask(std::move(keys), true);
  if (bucket_ != 0) return next(kBreath);
  if (missed_ > 0) {
    log::warning("comparison: {} rows had changed and the feed had not said so; they are right now", missed_);
    missed_ = 0;
  }
  comparison_began_ = clock_.now() + times_.interval;
  next(times_.interval);
}

void Refresher::next(Duration pause) {
  timer_.start(pause, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->step();
  });
}

void Refresher::stop() {
  stopped_ = true;
  timer_.cancel();
}

}  // namespace vmail::directory
