#include "dovecot-lmtp-store/delivery.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::store {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr std::size_t kBuffer = 256u << 10;
// Some 100 bytes each; with more mailboxes than this a first delivery is only a little slower.
constexpr std::size_t kMaxKnown = 100000;
// A name is only ever taken when a clock went back over a restart that gave the same process id.
constexpr int kNameAttempts = 10;

// What open(2) answers where O_TMPFILE is not known to the file system or the kernel.
bool is_unsupported(int error) {
  return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOENT;
}

// Collects small pieces, so that a small message is one write.
class Writer {
 public:
  Writer(maildir::Files& files, int file) : files_(files), file_(file) {}

  bool add(std::string_view bytes, int& error) {
    while (!bytes.empty()) {
      const std::size_t room = std::min(kBuffer - buffer_.size(), bytes.size());
      buffer_ += bytes.substr(0, room);
      bytes.remove_prefix(room);
      if (buffer_.size() == kBuffer && !flush(error)) return false;
    }
    return true;
  }

  bool flush(int& error) {
    for (std::string_view rest = buffer_; !rest.empty();) {
      const ssize_t written = files_.write(file_, rest.data(), rest.size());
      if (written == -EINTR) continue;
      if (written <= 0) {
        error = written < 0 ? static_cast<int>(-written) : EIO;
        return false;
      }
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    buffer_.clear();
    return true;
  }

 private:
  maildir::Files& files_;
  int file_;
  std::string buffer_;
};

}  // namespace

Delivery::Delivery(maildir::Files& files, const Clock& clock, std::string base, std::string hostname)
    : files_(files), clock_(clock), base_(std::move(base)), hostname_(std::move(hostname)), names_(clock, hostname_) {}

Stored Delivery::deliver(const Message& message, const std::string& recipient, const std::string& path) {
  const Instant begin = clock_.now();
  const Stored stored = file(message, recipient, path);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - begin).count();
  const std::string about =
      fmt::format("delivery id={} from=<{}> to=<{}> mailbox={} size={} ms={}", message.id, printable(message.sender),
                  printable(recipient), printable(path), message.sizes.size(), took);
  if (stored.ok()) {
    log::info("{} result=stored file={}", about, stored.name);
  } else if (stored.error == ECANCELED) {
    log::warning("{} result=dropped: the client did not wait for the answer", about);
  } else {
    log::error("{} result=deferred: {}", about, explain(base_, stored));
  }
  return stored;
}

Stored Delivery::file(const Message& message, const std::string& recipient, const std::string& path) {
  if (message.abandoned) return {ECANCELED, path, {}};
  maildir::Fault fault;
  // Opened each time: a volume that is mounted or goes away is noticed at once.
  const UniqueFd base = maildir::open_base(files_, base_, fault);
  if (!base) return failed(fault);
  const UniqueFd new_folder = open_new(base.get(), path, fault);
  if (!new_folder) return failed(fault);
  const Draft draft = create(base.get(), new_folder.get(), path, fault);
  if (!draft.file) return failed(fault);

  const std::string headers = headers_for(message, recipient, hostname_);
  lmtp::Sizes sizes;
  sizes.add(headers);
  int error = 0;
  std::string name;
  if (write(draft.file.get(), message, headers, error)) {
    error = -files_.sync(draft.file.get());
    if (error == 0 && message.abandoned) error = ECANCELED;
    if (error == 0) {
      name = publish(draft, new_folder.get(), sizes.size() + message.sizes.size(),
                     sizes.vsize() + message.sizes.vsize(), error);
    }
  }
  if (name.empty()) {
    discard(draft);
    return {error, path, {}};
  }
  error = -files_.sync(new_folder.get());
  if (error != 0) {
    // It may be on disk or not: the client will send it again, so this one goes.
    files_.remove(new_folder.get(), name);
    return {error, path + "/new", {}};
  }
  return {0, {}, std::move(name)};
}

UniqueFd Delivery::open_new(int base, const std::string& path, maildir::Fault& fault) {
  std::uint64_t forgotten = 0;
  UniqueFd folder = maildir::open_mailbox(files_, base, path + "/new", fault);
  if (!folder && fault.error == ENOENT) {
    {
      // Before a folder is made: who finds it then does not find it in known_.
      Lock lock(mutex_);
      known_.erase(path);
      ++forgotten_;
    }
    if (!maildir::make_mailbox(files_, base, path, fault)) return {};
    folder = maildir::open_mailbox(files_, base, path + "/new", fault);
  }
  if (!folder) return {};
  {
    Lock lock(mutex_);
    if (known_.find(path) != known_.end()) return folder;
    forgotten = forgotten_;
  }
  if (!maildir::sync_way(files_, base, path, fault)) return {};
  Lock lock(mutex_);
  if (forgotten == forgotten_) {
    if (known_.size() >= kMaxKnown) known_.clear();
    known_.insert(path);
  }
  return folder;
}

Delivery::Draft Delivery::create(int base, int new_folder, const std::string& path, maildir::Fault& fault) {
  Draft draft;
  int fd = files_.create_unnamed(new_folder, kFileMode);
  if (fd < 0 && is_unsupported(-fd)) {
    draft.folder = maildir::open_mailbox(files_, base, path + "/tmp", fault);
    if (!draft.folder && fault.error == ENOENT && maildir::make_mailbox(files_, base, path, fault)) {
      draft.folder = maildir::open_mailbox(files_, base, path + "/tmp", fault);
    }
    if (!draft.folder) return draft;
    draft.name = names_.next(0, 0);
    fd = files_.create(draft.folder.get(), draft.name, kFileMode);
  }
  if (fd < 0) {
    fault = {-fd, path + (draft.folder ? "/tmp" : "/new")};
  } else {
    draft.file = UniqueFd(fd);
  }
  return draft;
}

bool Delivery::write(int file, const Message& message, std::string_view headers, int& error) {
  Writer writer(files_, file);
  if (!writer.add(headers, error)) return false;
  std::vector<char> buffer(message.spool.size > 0 ? kBuffer : 0);
  for (std::uint64_t at = 0; at < message.spool.size;) {
    const ssize_t got =
        files_.read_at(message.spool.file.get(), buffer.data(),
                       std::min<std::uint64_t>(buffer.size(), message.spool.size - at), static_cast<off_t>(at));
    if (got == -EINTR) continue;
    if (got <= 0) {
      error = got < 0 ? static_cast<int>(-got) : EIO;
      return false;
    }
    if (!writer.add({buffer.data(), static_cast<std::size_t>(got)}, error)) return false;
    at += static_cast<std::uint64_t>(got);
  }
  return writer.add(message.tail, error) && writer.flush(error);
}

std::string Delivery::publish(const Draft& draft, int new_folder, std::uint64_t size, std::uint64_t vsize, int& error) {
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    std::string name = names_.next(size, vsize);
    error = draft.folder ? -files_.rename(draft.folder.get(), draft.name, new_folder, name)
                         : -files_.name(draft.file.get(), new_folder, name);
    if (error == 0) return name;
    if (error != EEXIST) break;
  }
  return {};
}

void Delivery::discard(const Draft& draft) {
  if (draft.folder) files_.remove(draft.folder.get(), draft.name);
}

Stored Delivery::failed(const maildir::Fault& fault) const {
  return {fault.error, fault.where, {}};
}

Stored Delivery::spool(Spool& spool, std::string_view bytes) {
  const Stored stored = append(spool, bytes);
  if (!stored.ok()) log::error("spool bytes={} result=deferred: {}", spool.size, explain(base_, stored));
  return stored;
}

Stored Delivery::append(Spool& spool, std::string_view bytes) {
  if (!spool.file) {
    maildir::Fault fault;
    const UniqueFd base = maildir::open_base(files_, base_, fault);
    if (!base) return failed(fault);
    int fd = files_.create_unnamed(base.get(), kFileMode);
    if (fd < 0 && is_unsupported(-fd)) {
      const std::string name = names_.next(0, 0);
      fd = files_.create(base.get(), name, kFileMode);
      if (fd >= 0) files_.remove(base.get(), name);
    }
    if (fd < 0) return {-fd, {}, {}};
    spool.file = UniqueFd(fd);
  }
  Writer writer(files_, spool.file.get());
  int error = 0;
  if (!writer.add(bytes, error) || !writer.flush(error)) return {error, {}, {}};
  spool.size += bytes.size();
  return {};
}

void Delivery::forget() {
  Lock lock(mutex_);
  known_.clear();
  ++forgotten_;
}

}  // namespace vmail::store
