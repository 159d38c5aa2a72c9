// The steps of a delivery, in their order.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "dovecot-lmtp-store/delivery_job.h"
#include "dovecot-lmtp-store/message_text.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::store {
namespace {

// Some 100 bytes each; with more mailboxes than this a first delivery is only a little slower.
constexpr std::size_t kMaxKnown = 100000;
// A name is only ever taken when a clock went back over a restart that gave the same process id.
constexpr int kNameAttempts = 10;

// What link(2) answers where there can be no further name: too many of them, another file system, the file removed by
// its first owner, a file system without links. The message is then written once more.
bool is_unlinkable(int error) {
  return error == EMLINK || error == EXDEV || error == ENOENT || error == EPERM;
}

}  // namespace

// Its new/, which is made when it is not there, with the folders above. A folder that cannot be made is no reason to
// keep mail from the inbox.
bool Delivery::open(Job& job, Target& target) {
  const int base = job.base.get();
  target.path = target.folder.empty() ? target.mailbox : target.mailbox + '/' + target.folder;
  target.new_folder = maildir::open_mailbox(files_, base, target.path + "/new", job.fault);
  if (!target.new_folder && job.fault.error == ENOENT) {
    // Before a folder is made: who finds it then does not find it in known_.
    unknow(target.path);
    unknow(target.mailbox);
    if (make_folder(files_, base, target.mailbox, target.folder, *job.filing, job.fault)) {
      target.new_folder = maildir::open_mailbox(files_, base, target.path + "/new", job.fault);
    }
  }
  if (!target.new_folder && !target.folder.empty()) {
    log::warning("delivery id={} mailbox={}: into the inbox, since its folder {} cannot be used: {}", job.message.id,
                 printable(target.mailbox), printable(target.folder),
                 explain(settings_.base.folder, {job.fault.error, job.fault.where, {}}));
    target.folder.clear();
    return open(job, target);
  }
  if (!target.new_folder) return false;
  {
    Lock lock(mutex_);
    if (known_.find(target.path) != known_.end()) return true;
    target.forgotten = forgotten_;
  }
  target.way = maildir::open_way(files_, base, target.path, job.fault);
  return !target.way.empty();
}

// A file with the text in it.
bool Delivery::prepare(Job& job, Target& target) {
  if (!job.shares) return create(job, target) && write(job, target);
  Shared& shared = job.message.shared;
  Lock lock(shared.mutex);
  if (!shared.file) {
    if (!create(job, target) || !write(job, target)) return false;
    // Before anybody else has a name for it: of a failed sync only one of them would hear.
    std::size_t failed = 0;
    const int synced = commit_.sync({target.file->get()}, {}, failed);
    if (synced != 0) return job.failed(-synced, target.path);
    target.synced = true;
    shared.file = target.file;
    shared.folders.insert(target.path);
    return true;
  }
  // Two names of one file in one folder would be taken for a mistake by Dovecot, which removes one of them.
  if (settings_.single_instance == SingleInstance::Hardlink && shared.folders.insert(target.path).second) {
    target.file = shared.file;
    target.linked = target.synced = true;
    return true;
  }
  if (!create(job, target)) return false;
  const bool cloned =
      settings_.single_instance == SingleInstance::Reflink && files_.clone(shared.file->get(), target.file->get()) == 0;
  return cloned || write(job, target);
}

bool Delivery::write(Job& job, Target& target) {
  const int error = write_message(files_, target.file->get(), job.message, job.headers);
  return error == 0 || job.failed(error, target.path);
}

bool Delivery::create(Job& job, Target& target) {
  int fd = files_.create_unnamed(target.new_folder.get(), kFileMode);
  if (fd < 0 && is_unsupported(-fd)) {
    const int base = job.base.get();
    const std::string tmp = target.path + "/tmp";
    target.tmp = maildir::open_mailbox(files_, base, tmp, job.fault);
    if (!target.tmp && job.fault.error == ENOENT &&
        make_folder(files_, base, target.mailbox, target.folder, *job.filing, job.fault)) {
      target.tmp = maildir::open_mailbox(files_, base, tmp, job.fault);
    }
    if (!target.tmp) return false;
    target.draft = names_.next(0, 0);
    fd = files_.create(target.tmp.get(), target.draft, kFileMode);
    if (fd < 0) target.tmp.reset();
    if (fd < 0) return job.failed(-fd, tmp);
  }
  if (fd < 0) return job.failed(-fd, target.path + "/new");
  target.file = std::make_shared<const UniqueFd>(fd);
  return true;
}

bool Delivery::write_out(Job& job) {
  std::vector<int> files;
  for (const Target& target : job.targets) {
    if (!target.synced) files.push_back(target.file->get());
  }
  std::size_t failed = 0;
  const int written = commit_.write_out(files, failed);
  return written == 0 || job.failed(-written, job.targets.front().path);
}

bool Delivery::publish(Job& job, Target& target) {
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    std::string name = names_.next(job.size(), job.vsize());
    const int error = target.tmp ? -files_.rename(target.tmp.get(), target.draft, target.new_folder.get(), name)
                                 : -files_.name(target.file->get(), target.new_folder.get(), name);
    job.fault = {error, target.path};
    if (error == 0) {
      target.name = std::move(name);
      return true;
    }
    if (target.linked && is_unlinkable(error)) {
      target.linked = false;
      if (!create(job, target) || !write(job, target)) return false;
      std::size_t failed = 0;
      const int written = commit_.write_out({target.file->get()}, failed);
      if (written != 0) return job.failed(-written, target.path);
    } else if (error != EEXIST) {
      break;
    }
  }
  return false;
}

bool Delivery::sync_names(Job& job) {
  std::vector<int> files, folders;
  std::vector<std::string> paths;
  for (const Target& target : job.targets) {
    files.push_back(target.file->get());
    paths.push_back(target.path);
  }
  for (const Target& target : job.targets) {
    folders.push_back(target.new_folder.get());
    paths.push_back(target.path + "/new");
    // Deepest first.
    for (const UniqueFd& folder : target.way) folders.push_back(folder.get());
    if (!target.way.empty()) folders.push_back(job.base.get());
    paths.resize(files.size() + folders.size(), target.path);
  }
  std::size_t failed = 0;
  const int synced = commit_.sync(files, folders, failed);
  if (synced != 0) return job.failed(-synced, paths[std::min(failed, paths.size() - 1)]);
  Lock lock(mutex_);
  for (const Target& target : job.targets) {
    if (target.way.empty() || target.forgotten != forgotten_) continue;
    if (known_.size() >= kMaxKnown) known_.clear();
    known_.insert(target.path);
  }
  return true;
}

// Dovecot's own changes are in the same file; without one there is no account to be kept.
void Delivery::account(Job& job) {
  for (const Target& target : job.targets) {
    const bool own = &target == &job.targets.front();
    maildir::Fault fault;
    const UniqueFd mailbox = maildir::open_mailbox(files_, job.base.get(), target.mailbox, fault);
    if (!mailbox) continue;
    const auto change = quota_.added(mailbox.get(), own ? job.recipient.quota : QuotaLimits(), job.size());
    if (own) job.change = change;
  }
}

// What has a name may be on disk or not: the client will send it again, so it goes.
void Delivery::withdraw(Job& job) {
  for (const Target& target : job.targets) {
    if (!target.name.empty()) {
      files_.remove(target.new_folder.get(), target.name);
    } else if (target.tmp) {
      files_.remove(target.tmp.get(), target.draft);
    }
  }
}

void Delivery::unknow(const std::string& path) {
  Lock lock(mutex_);
  known_.erase(path);
  ++forgotten_;
}

}  // namespace vmail::store
