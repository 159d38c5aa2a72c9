#include "dovecot-lmtp-store/recipient.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "dovecot-lmtp-store/delivery.h"
#include "dovecot-lmtp-store/quota_status.h"
#include "dovecot-lmtp-store/reply_to.h"
#include "shared/base/text.h"
#include "shared/base/unique_fd.h"
#include "shared/config/limit.h"

namespace vmail::store {

using directory::RuleKind;
using lmtp::Reply;

// Unchanging; a reload makes a new one for the questions to come.
struct RecipientSettings {
  maildir::Layout layout;
  bool spam_to_junk = true;
  std::string script;  // the pattern of the path of an active script; empty: nobody is handed over
  bool keeps_quota = true;
  bool full_for_now = true;
  bool asks_dovecot = false;
  bool defers_on_trouble = false;
};

// From the call of find() to its answer.
struct Recipients::Question {
  std::shared_ptr<Recipient> recipient = std::make_shared<Recipient>();
  std::uint64_t size = 0;
  Done done;
  std::shared_ptr<const RecipientSettings> settings;
  std::string archive;  // an address
  std::string script;   // a path, below the base or absolute; empty: known already
};

namespace {

constexpr const char* kTrouble = "Temporary internal error";
// For so long one look at the volume does for all recipients, when it has so much more room than its reserve.
constexpr Duration kGuarded = std::chrono::seconds(1);
constexpr std::uint64_t kPlenty = 1u << 30;

// What the disk has to say.
struct Looked {
  Stored stored;
  bool plenty = false;  // of room
  bool scripted = false;
};

// Whether there is such a script. A link counts without a look at where it leads: Dovecot knows what to do then.
int find_script(int base, const std::string& path, bool& found) {
  struct stat info {};
  if (::fstatat(base, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
    found = true;
    return 0;
  }
  return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
}

std::shared_ptr<const RecipientSettings> settings_from(const config::Settings& settings,
                                                       const maildir::Layout& layout) {
  const bool asks_dovecot = !settings.store.quota_status.empty();
  const bool checks = settings.policy.full_mailbox != "accept";
  return std::make_shared<const RecipientSettings>(RecipientSettings{
      layout,
      settings.store.spam == "junk",
      settings.store.sieve_socket.empty() ? "" : settings.store.sieve_script,
      checks && !asks_dovecot,
      settings.policy.full_mailbox != "reject",
      checks && asks_dovecot,
      settings.policy.on_trouble == "defer",
  });
}

}  // namespace

Recipients::Recipients(Loop& loop, const Clock& clock, directory::Directory& directory, MailboxJobs& disk,
                       maildir::Quota& quota, const config::Settings& settings, const maildir::Layout& layout,
                       Guard guard)
    : loop_(loop),
      clock_(clock),
      directory_(directory),
      disk_(disk),
      quota_(quota),
      guard_(std::move(guard)),
      base_(settings.mailboxes.base),
      settings_(settings_from(settings, layout)) {
  if (!settings.store.quota_status.empty()) {
    quota_status_ = std::make_unique<QuotaStatus>(loop, settings.store.quota_status);
  }
}

Recipients::~Recipients() = default;

void Recipients::reload(const config::Settings& settings, const maildir::Layout& layout) {
  settings_ = settings_from(settings, layout);
}

void Recipients::find(std::string address, std::uint64_t size, Done done) {
  const auto question = std::make_shared<Question>();
  question->recipient->address = std::move(address);
  question->size = size;
  question->done = std::move(done);
  question->settings = settings_;
  // A refusal bounces the mail for good: it may not rest on a row that was read long ago.
  auto answer = directory_.mailbox(
      question->recipient->address, directory::Freshness::FreshForRefusal,
      [this, question](const Outcome<directory::Mailbox>& outcome) { take_mailbox(question, outcome); });
  if (answer) {
    loop_.post([this, question, outcome = std::move(*answer)] { take_mailbox(question, outcome); });
  }
}

// The table of DESIGN: NotFound and Disabled are permanent, everything uncertain is temporary.
void Recipients::take_mailbox(const Asked& question, const Outcome<directory::Mailbox>& outcome) {
  Recipient& recipient = *question->recipient;
  const std::string& address = recipient.address;
  if (outcome.is_temp_fail()) {
    log::warning("rcpt to=<{}>: no answer from the directory: {}", printable(address), outcome.reason());
    return answer(question, {451, "4.3.0", about(address, kTrouble)});
  }
  if (outcome.status() == Status::Disabled) {
    return answer(question, {550, "5.2.1", about(address, "Mailbox is disabled")});
  }
  if (!outcome.is_found()) return answer(question, {550, "5.1.1", about(address, "User doesn't exist")});
  recipient.mailbox = outcome.value();
  const directory::Mailbox& mailbox = recipient.mailbox;
  if (mailbox.hold) return answer(question, {450, "4.2.1", about(address, "Mailbox is on hold, try again later")});
  auto path = question->settings->layout.path(Address{mailbox.local, mailbox.domain});
  if (!path) {
    log::error("rcpt to=<{}>: no folder may have the name of mailbox {}: rename it in the database", printable(address),
               printable(mailbox.address()));
    return answer(question, {451, "4.3.0", about(address, kTrouble)});
  }
  recipient.path = std::move(*path);
  if (!mailbox.extension.empty()) recipient.detail = mailbox.extension.substr(1);
  recipient.full_for_now = question->settings->full_for_now;
  if (!take_rules(question)) return;
  if (recipient.message_limit != 0 && question->size > recipient.message_limit) {
    return answer(question, reply_to({0, {}, {}, Stored::Refusal::TooBig}, address));
  }
  question->archive.empty() ? ask_dovecot(question) : ask_archive(question);
}

// False: one of them cannot be used, and that was answered.
bool Recipients::take_rules(const Asked& question) {
  const RecipientSettings& settings = *question->settings;
  Recipient& recipient = *question->recipient;
  std::optional<std::string> spam, sieve, archive, limit, quota;
  // Rights that were not given yet, after an upgrade: no mail is held up by that (and `vmailctl status` tells of it).
  if (directory_.rules_readable(clock_.now()) &&
      !(rule(question, RuleKind::Spam, spam) && rule(question, RuleKind::Sieve, sieve) &&
        rule(question, RuleKind::Archive, archive) && rule(question, RuleKind::MessageSize, limit) &&
        rule(question, RuleKind::Quota, quota))) {
    return false;
  }
  const auto bad = [&](RuleKind kind, const std::string& value, const char* why) {
    bad_value(question, kind, value, why);
    return false;
  };
  if (spam && *spam != "junk" && *spam != "inbox") return bad(RuleKind::Spam, *spam, "it is junk or inbox");
  recipient.spam_to_junk = spam ? *spam == "junk" : settings.spam_to_junk;

  if (sieve && *sieve != "yes" && *sieve != "no") return bad(RuleKind::Sieve, *sieve, "it is yes or no");
  const directory::Mailbox& mailbox = recipient.mailbox;
  if (!settings.script.empty() && sieve) {
    recipient.scripted = *sieve == "yes";
  } else if (!settings.script.empty()) {
    question->script = maildir::expand(settings.script, mailbox.local, mailbox.domain);
    if (question->script.front() != '/') question->script = recipient.path + '/' + question->script;
  }
  if (limit) {
    const auto bytes = config::parse_size(*limit);
    if (!bytes) return bad(RuleKind::MessageSize, *limit, "it is no size");
    recipient.message_limit = *bytes;
  }
  if (quota && settings.keeps_quota) {
    const auto limits = config::parse_quota(*quota);
    if (!limits) return bad(RuleKind::Quota, *quota, "it is no size");
    recipient.quota = *limits;
  }
  if (archive) question->archive = std::move(*archive);
  return true;
}

bool Recipients::rule(const Asked& question, RuleKind kind, std::optional<std::string>& value) {
  const std::string mailbox = question->recipient->mailbox.address();
  const auto found = directory_.recall_rule(kind, mailbox, clock_.now());
  if (found != nullptr && found->is_found() && !found->value().empty()) value = *found->value().begin();
  if (found != nullptr && !found->is_temp_fail()) return true;
  bad_value(question, kind, "", found == nullptr ? "the domains are not known" : found->reason());
  return false;
}

void Recipients::bad_value(const Asked& question, RuleKind kind, std::string_view value, std::string_view why) {
  std::size_t suppressed = 0;
  if (log_.allow(suppressed)) {
    log::error(
        "rcpt to=<{}> mailbox={} suppressed={}: the {} rule says \"{}\": {}; its mail is deferred until `vmailctl "
        "{}` mends that",
        printable(question->recipient->address), printable(question->recipient->mailbox.address()), suppressed,
        directory::word(kind), printable(value), why, directory::word(kind));
  }
  answer(question, {451, "4.3.0", about(question->recipient->address, kTrouble)});
}

void Recipients::ask_archive(const Asked& question) {
  auto answered = directory_.mailbox(
      question->archive, directory::Freshness::Cached,
      [this, question](const Outcome<directory::Mailbox>& outcome) { take_archive(question, outcome); });
  if (answered) take_archive(question, *answered);
}

// Mail that is to be archived is not stored without its copy.
void Recipients::take_archive(const Asked& question, const Outcome<directory::Mailbox>& outcome) {
  Recipient& recipient = *question->recipient;
  if (outcome.is_temp_fail()) {
    log::warning("rcpt to=<{}>: no answer about its archive {}: {}", printable(recipient.address),
                 printable(question->archive), outcome.reason());
    return answer(question, {451, "4.3.0", about(recipient.address, kTrouble)});
  }
  if (!outcome.is_found()) return bad_value(question, RuleKind::Archive, question->archive, "there is no such mailbox");
  auto path = question->settings->layout.path(Address{outcome.value().local, outcome.value().domain});
  if (!path) return bad_value(question, RuleKind::Archive, question->archive, "no folder may have that name");
  if (*path != recipient.path) recipient.archive = std::move(*path);
  ask_dovecot(question);
}

void Recipients::ask_dovecot(const Asked& question) {
  if (!quota_status_ || !question->settings->asks_dovecot) return look_at_disk(question);
  quota_status_->ask(question->recipient->mailbox.address(), question->size, [this, question](Outcome<bool> room) {
    const Recipient& recipient = *question->recipient;
    if (room.is_found() && !room.value()) {
      const auto refusal = recipient.full_for_now ? Stored::Refusal::FullForNow : Stored::Refusal::Full;
      return answer(question, reply_to({0, {}, {}, refusal}, recipient.address));
    }
    std::size_t suppressed = 0;
    if (!room.is_found() && log_.allow(suppressed)) {
      log::warning("rcpt to=<{}> suppressed={}: {}", printable(recipient.address), suppressed, room.reason());
    }
    if (!room.is_found() && question->settings->defers_on_trouble) {
      return answer(question, {451, "4.3.0", about(recipient.address, kTrouble)});
    }
    look_at_disk(question);
  });
}

void Recipients::look_at_disk(const Asked& question) {
  const Recipient& recipient = *question->recipient;
  const Instant now = clock_.now();
  const bool guarded = !guard_ || (now < guarded_until_ && question->size < kPlenty);
  if (guarded && !recipient.quota.any() && question->script.empty()) return accept(question);
  // A job owns copies of its inputs.
  MailboxJobs::Job job = [this, question, path = recipient.path, limits = recipient.quota,
                          for_now = recipient.full_for_now, script = question->script, size = question->size, guarded,
                          now]() mutable {
    Looked looked;
    if (!guarded) {
      looked.plenty = guard_(std::max(size, kPlenty)).ok();
      if (!looked.plenty) looked.stored = guard_(size);
    }
    if (looked.stored.ok() && (limits.any() || !script.empty())) {
      maildir::RealFiles files;
      maildir::Fault fault;
      const UniqueFd base = maildir::open_base(files, base_, fault);
      if (base && limits.any()) {
        const auto room = quota_.room(base.get(), path, limits, size, fault);
        using Refusal = Stored::Refusal;
        if (room == maildir::Room::No) looked.stored.refusal = for_now ? Refusal::FullForNow : Refusal::Full;
      }
      if (base && fault.error == 0 && !script.empty()) {
        fault = {find_script(base.get(), script, looked.scripted), script};
      }
      if (fault.error != 0) looked.stored = {fault.error, fault.where, {}};
    }
    if (looked.stored.error != 0) log::error("rcpt mailbox={}: {}", printable(path), explain(base_, looked.stored));
    loop_.post([this, question = std::move(question), looked = std::move(looked), now] {
      if (looked.plenty) guarded_until_ = now + kGuarded;
      if (!looked.stored.ok()) return answer(question, reply_to(looked.stored, question->recipient->address));
      if (looked.scripted) question->recipient->scripted = true;
      accept(question);
    });
  };
  disk_.submit(recipient.path, std::move(job), [this, question](int error) {
    answer(question, reply_to({error, {}, {}}, question->recipient->address));
  });
}

void Recipients::answer(const Asked& question, Reply reply) {
  std::exchange(question->done, nullptr)(std::move(reply));
}

void Recipients::accept(const Asked& question) {
  std::exchange(question->done, nullptr)(std::shared_ptr<const Recipient>(std::move(question->recipient)));
}

}  // namespace vmail::store
