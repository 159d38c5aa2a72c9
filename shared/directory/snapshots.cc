#include "shared/directory/snapshots.h"

#include <utility>

#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

constexpr Duration kInterval = std::chrono::minutes(5);

}  // namespace

Snapshots::Snapshots(Loop& loop, const Clock& clock, const std::string& folder)
    : loop_(loop), clock_(clock), path_(folder.empty() ? "" : folder + "/directory.snapshot"), timer_(loop) {}

std::unique_ptr<Snapshot> Snapshots::read(const std::string& database, const std::string& preset,
                                          std::size_t max_bytes) {
  if (path_.empty()) return nullptr;
  try {
    auto snapshot = read_snapshot(path_, max_bytes);
    if (!snapshot) return nullptr;
    if (snapshot->database != database || snapshot->preset != preset) {
      throw SnapshotError(path_ + " is of the database \"" + printable(snapshot->database) + "\" and the preset \"" +
                          printable(snapshot->preset) +
                          "\": it is set aside and the directory is read from the database");
    }
    written_ = snapshot->domains_read_at;
    return snapshot;
  } catch (const SnapshotError& error) {
    log::warning("snapshot-unusable: {}", error.what());
    set_aside(path_);
    return nullptr;
  }
}

void Snapshots::start(Gather gather) {
  gather_ = std::move(gather);
  if (!path_.empty()) next();
}

void Snapshots::next() {
  timer_.start(kInterval, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->gather_([weak](Snapshot snapshot) {
      if (const auto alive = weak.lock()) alive->write(std::move(snapshot));
    });
  });
}

void Snapshots::write(Snapshot snapshot) {
  if (stopped_) return;
  auto shared = std::make_shared<Snapshot>(std::move(snapshot));
  const bool queued = worker_.submit(
      [&loop = loop_, path = path_, weak = weak_from_this(), shared = std::move(shared)](std::size_t) mutable {
        std::string error;
        try {
          write_snapshot(path, *shared);
        } catch (const std::exception& failure) {
          error = failure.what();
        }
        shared.reset();
        loop.post([weak, error] {
          if (const auto self = weak.lock()) self->wrote(error);
        });
      });
  if (!queued) next();
}

void Snapshots::wrote(const std::string& error) {
  if (!error.empty() && error_ != error) log::error("snapshot-failed: {}", error);
  error_ = error;
  if (error.empty()) written_ = clock_.wall();
  if (!stopped_) next();
}

void Snapshots::stop(const Snapshot* last) {
  stopped_ = true;
  timer_.cancel();
  worker_.stop();
  if (path_.empty() || last == nullptr) return;
  try {
    write_snapshot(path_, *last);
  } catch (const std::exception& failure) {
    log::error("snapshot-failed: {}", failure.what());
  }
}

}  // namespace vmail::directory
