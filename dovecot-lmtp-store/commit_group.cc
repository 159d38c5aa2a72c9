#include "dovecot-lmtp-store/commit_group.h"

#include <cstring>

#include "shared/runtime/log.h"

namespace vmail::store {

CommitGroup::CommitGroup(maildir::Files& files, const Clock& clock, std::string base, Durability durability,
                         std::size_t together)
    : files_(files), clock_(clock), base_(std::move(base)), durability_(durability), together_(together) {
  Lock lock(mutex_);
  if (durability_ != Durability::None) open_volume();
}

int CommitGroup::write_out(const std::vector<int>& files, std::size_t& failed) {
  return durability_ == Durability::None ? 0 : each(files, &maildir::Files::write_out, failed);
}

int CommitGroup::each(const std::vector<int>& fds, int (maildir::Files::*call)(int), std::size_t& failed) {
  for (failed = 0; failed < fds.size(); ++failed) {
    const int error = (files_.*call)(fds[failed]);
    if (error == 0) continue;
    Lock lock(mutex_);
    ++counts_.errors;
    return error;
  }
  return 0;
}

int CommitGroup::sync(const std::vector<int>& files, const std::vector<int>& folders, std::size_t& failed) {
  if (durability_ == Durability::None) return 0;
  std::vector<int> fds = files;
  if (durability_ == Durability::Full) fds.insert(fds.end(), folders.begin(), folders.end());
  if (fds.empty()) return 0;
  failed = 0;
  int error = 0;
  if (share(fds, error)) return error;
  error = each(fds, &maildir::Files::sync, failed);
  end_alone();
  return error;
}

bool CommitGroup::share(const std::vector<int>& fds, int& error) {
  Lock lock(mutex_);
  const bool few = alone_ + 1 < together_ && !running_ && !gathering_;
  if (few || !is_on_volume(fds)) {
    ++alone_;
    ++counts_.alone;
    return false;
  }
  if (!gathering_) gathering_ = std::make_shared<Batch>();
  const std::shared_ptr<Batch> batch = gathering_;
  ++batch->size;
  advance();
  while (batch->state == State::Gathering || batch->state == State::Running) batch->changed.wait(mutex_);
  if (batch->state == State::Alone) return false;
  if (batch->state == State::Led) {
    batch->state = State::Running;
    const int volume = volume_.get();
    mutex_.unlock();
    const int result = files_.sync_file_system(volume);
    mutex_.lock();
    batch->state = State::Done;
    batch->error = result;
    running_ = false;
    ++counts_.barriers;
    counts_.shared += batch->size;
    if (result != 0) {
      ++counts_.errors;
      log::error("syncfs on {}: {}: {} deliveries are deferred, files are synced one by one for a minute; see dmesg",
                 base_, std::strerror(-result), batch->size);
      volume_.reset();
      reopen_ = clock_.now() + kReopen;
    }
    batch->changed.notify_all();
    advance();
  }
  error = batch->error;
  return true;
}

void CommitGroup::end_alone() {
  Lock lock(mutex_);
  --alone_;
  advance();
}

void CommitGroup::advance() {
  if (!gathering_ || running_) return;
  Batch& batch = *gathering_;
  const bool enough = batch.size >= together_ && volume_;
  // Too few for a barrier: they may all go by themselves once nobody else does.
  if (!enough && alone_ > 0) return;
  if (enough) {
    batch.state = State::Led;
    running_ = true;
    batch.changed.notify_one();
  } else {
    batch.state = State::Alone;
    alone_ += batch.size;
    counts_.alone += batch.size;
    batch.changed.notify_all();
  }
  gathering_.reset();
}

// A volume below the base, or one that was mounted over it, is none that our descriptor would sync.
bool CommitGroup::is_on_volume(const std::vector<int>& fds) {
  if (volume_ && all_on(device_, fds)) return true;
  if (running_ || clock_.now() < reopen_) return false;
  open_volume();
  return volume_ && all_on(device_, fds);
}

bool CommitGroup::all_on(std::uint64_t device, const std::vector<int>& fds) {
  for (const int fd : fds) {
    std::uint64_t its = 0;
    if (files_.device(fd, its) != 0 || its != device) return false;
  }
  return true;
}

void CommitGroup::open_volume() {
  reopen_ = clock_.now() + kReopen;
  volume_ = UniqueFd(files_.open_folder(base_));
  if (!volume_ || (files_.can_sync_file_system(volume_.get()) == 1 && files_.device(volume_.get(), device_) == 0)) {
    return;
  }
  volume_.reset();
}

CommitGroup::Counts CommitGroup::counts() const {
  Lock lock(mutex_);
  Counts counts = counts_;
  counts.waiting = gathering_ ? gathering_->size : 0;
  return counts;
}

bool CommitGroup::is_sharing() const {
  Lock lock(mutex_);
  return static_cast<bool>(volume_);
}

}  // namespace vmail::store
