#include "dovecot-lmtp-store/delivery.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "dovecot-lmtp-store/delivery_job.h"
#include "dovecot-lmtp-store/message_text.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::store {

Delivery::Delivery(maildir::Files& files, const Clock& clock, CommitGroup& commit, maildir::Quota& quota,
                   Duplicates& duplicates, DeliverySettings settings, Filing filing)
    : files_(files),
      clock_(clock),
      commit_(commit),
      quota_(quota),
      duplicates_(duplicates),
      settings_(std::move(settings)),
      names_(clock, settings_.hostname),
      filing_(std::make_shared<const Filing>(std::move(filing))) {}

Stored Delivery::deliver(const Message& message, const Recipient& recipient) {
  const Instant begin = clock_.now();
  const std::string key = key_of(message, recipient);
  Stored stored;
  if (const auto before = key.empty() ? std::nullopt : duplicates_.find(key)) {
    stored.name = *before;
    stored.duplicate = true;
  } else {
    stored = file(message, recipient);
    if (stored.ok() && !key.empty()) duplicates_.stored(key, message.id, stored.name);
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - begin);
  write_log(message, recipient, stored, took.count());
  return stored;
}

// What a redelivery is known again by; empty for a client that does not tell its queue id.
std::string Delivery::key_of(const Message& message, const Recipient& recipient) {
  if (message.queue_id.empty()) return {};
  const std::string digest = digest_of(files_, message);
  if (digest.empty()) return {};
  return duplicate_key(message.helo + message.peer, message.queue_id, recipient.address, digest);
}

void Delivery::write_log(const Message& message, const Recipient& recipient, const Stored& stored, std::int64_t ms) {
  const std::string about = fmt::format(
      "delivery id={} queue={} from=<{}> to=<{}> mailbox={} size={} ms={}", message.id, printable(message.queue_id),
      printable(message.sender), printable(recipient.address), printable(recipient.path), message.sizes.size(), ms);
  if (stored.duplicate) {
    log::info("{} result=duplicate file={}: an earlier session stored it and was lost before its reply was read", about,
              stored.name);
  } else if (stored.refusal == Stored::Refusal::TooBig) {
    log::info("{} result=refused: larger than the {} bytes that this mailbox takes", about, recipient.message_limit);
  } else if (stored.refusal != Stored::Refusal::None) {
    log::info("{} result=refused: the mailbox is full", about);
  } else if (stored.ok()) {
    log::info("{} result=stored folder={} file={}", about, stored.folder.empty() ? "INBOX" : printable(stored.folder),
              stored.name);
  } else if (stored.error == ECANCELED) {
    log::warning("{} result=dropped: the client did not wait for the answer", about);
  } else {
    log::error("{} result=deferred: {}", about, explain(settings_.base.folder, stored));
  }
}

Stored Delivery::file(const Message& message, const Recipient& recipient) {
  using Refusal = Stored::Refusal;
  if (message.abandoned) return {ECANCELED, recipient.path, {}};
  if (recipient.message_limit != 0 && message.sizes.size() > recipient.message_limit) {
    return {0, {}, {}, Refusal::TooBig};
  }
  Job job{message, recipient, {}, {}, false, {}, {}, {}, {}, {}};
  {
    Lock lock(mutex_);
    job.filing = filing_;
  }
  // Opened each time: a volume that is mounted or goes away is noticed at once.
  job.base = maildir::open_base(files_, settings_.base, job.fault);
  if (!job.base) return {job.fault.error, job.fault.where, {}};
  job.shares = settings_.single_instance != SingleInstance::Off && (message.recipients > 1 || recipient.archive);
  const bool alike = job.shares && message.recipients > 1;
  job.headers = headers_for(message, alike ? std::string() : recipient.address, settings_.hostname);
  job.head.add(job.headers);
  const auto room = quota_.room(job.base.get(), recipient.path, recipient.quota, job.size(), job.fault);
  if (!room) return {job.fault.error, job.fault.where, {}};
  if (*room == maildir::Room::No) {
    return {0, {}, {}, recipient.full_for_now ? Refusal::FullForNow : Refusal::Full};
  }

  const auto folder = choose_folder(files_, job.base.get(), *job.filing, message, recipient, job.fault);
  if (!folder) return {job.fault.error, job.fault.where, {}};
  job.targets.emplace_back();
  job.targets.back().mailbox = recipient.path;
  job.targets.back().folder = *folder;
  if (recipient.archive) {
    job.targets.emplace_back();
    job.targets.back().mailbox = *recipient.archive;
  }
  const auto all = [&](bool (Delivery::*step)(Job&, Target&)) {
    return std::all_of(job.targets.begin(), job.targets.end(),
                       [&](Target& target) { return (this->*step)(job, target); });
  };
  bool good = all(&Delivery::open) && all(&Delivery::prepare) && write_out(job);
  if (good && message.abandoned) good = job.failed(ECANCELED, recipient.path);
  if (good) {
    // In one order for everybody: two that wait for each other's mailbox would wait for ever.
    std::vector<std::string> mailboxes;
    for (const Target& target : job.targets) mailboxes.push_back(target.mailbox);
    std::sort(mailboxes.begin(), mailboxes.end());
    std::vector<maildir::Quota::Naming> namings;
    for (const std::string& mailbox : mailboxes) namings.push_back(quota_.naming(mailbox));
    good = all(&Delivery::publish) && sync_names(job);
    if (good) account(job);
  }
  if (!good) {
    withdraw(job);
    return {job.fault.error, job.fault.where, {}};
  }
  Stored stored{0, {}, job.targets.front().name};
  stored.folder = job.targets.front().folder;
  stored.usage = job.change;
  return stored;
}

Stored Delivery::spool(Spool& spool, std::string_view bytes) {
  const Stored stored = append(spool, bytes);
  if (!stored.ok()) {
    log::error("spool bytes={} result=deferred: {}", spool.size, explain(settings_.base.folder, stored));
  }
  return stored;
}

Stored Delivery::append(Spool& spool, std::string_view bytes) {
  if (!spool.file) {
    maildir::Fault fault;
    const UniqueFd base = maildir::open_base(files_, settings_.base, fault);
    if (!base) return {fault.error, fault.where, {}};
    int fd = files_.create_unnamed(base.get(), kFileMode);
    if (fd < 0 && is_unsupported(-fd)) {
      const std::string name = names_.next(0, 0);
      fd = files_.create(base.get(), name, kFileMode);
      if (fd >= 0) files_.remove(base.get(), name);
    }
    if (fd < 0) return {-fd, {}, {}};
    spool.file = UniqueFd(fd);
  }
  if (const int error = write_all(files_, spool.file.get(), bytes); error != 0) return {error, {}, {}};
  spool.size += bytes.size();
  return {};
}

Stored Delivery::ready(std::uint64_t size) {
  maildir::Fault fault;
  const UniqueFd base = maildir::open_base(files_, settings_.base, fault);
  if (base && has_room(files_, base.get(), settings_.reserve, size, fault)) return {};
  return {fault.error, fault.where, {}};
}

void Delivery::reload(Filing filing) {
  auto made = std::make_shared<const Filing>(std::move(filing));
  Lock lock(mutex_);
  filing_ = std::move(made);
}

void Delivery::forget() {
  Lock lock(mutex_);
  known_.clear();
  ++forgotten_;
}

}  // namespace vmail::store
