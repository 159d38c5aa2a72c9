#include "dovecot-lmtp-store/mailbox_jobs.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <memory>
#include <utility>

namespace vmail::store {

MailboxJobs::MailboxJobs(Loop& loop, WorkerPool& pool)
    : loop_(loop), pool_(pool), most_running_(std::max<std::size_t>(pool.threads() / 4, 1)) {}

void MailboxJobs::submit(const std::string& mailbox, Job job, Dropped dropped) {
  assert(loop_.on_loop());
  Waiting next{std::move(job), std::move(dropped)};
  Mailbox& entry = mailboxes_[mailbox];
  if (entry.running < most_running_) {
    if (start(mailbox, next)) {
      ++entry.running;
      return;
    }
    drop(next, EBUSY);
  } else if (entry.waiting.size() < kMaxWaiting) {
    entry.waiting.push_back(std::move(next));
  } else {
    drop(next, EAGAIN);
  }
  if (entry.running == 0) mailboxes_.erase(mailbox);
}

bool MailboxJobs::start(const std::string& mailbox, Waiting& next) {
  auto job = std::make_shared<Job>(std::move(next.job));
  return pool_.submit([this, mailbox, job = std::move(job)](std::size_t) mutable {
    (*job)();
    job.reset();  // what it held is let go of here, not on the loop
    loop_.post([this, mailbox = std::move(mailbox)] { ended(mailbox); });
  });
}

void MailboxJobs::ended(const std::string& mailbox) {
  const auto found = mailboxes_.find(mailbox);
  Mailbox& entry = found->second;
  --entry.running;
  while (!entry.waiting.empty()) {
    Waiting next = std::move(entry.waiting.front());
    entry.waiting.pop_front();
    if (start(mailbox, next)) {
      ++entry.running;
      return;
    }
    drop(next, EBUSY);
  }
  if (entry.running == 0) mailboxes_.erase(found);
}

void MailboxJobs::drop(Waiting& waiting, int error) {
  loop_.post([dropped = std::make_shared<Dropped>(std::move(waiting.dropped)), error] { (*dropped)(error); });
}

}  // namespace vmail::store
