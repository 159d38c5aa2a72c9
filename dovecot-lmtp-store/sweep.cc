#include "dovecot-lmtp-store/sweep.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <vector>

#include "shared/base/unique_fd.h"
#include "shared/maildir/path.h"

namespace vmail::store {
namespace {

// No delivery takes longer: a client gives up after ten minutes.
constexpr std::int64_t kOld = 3600;

struct Sweep {
  maildir::Files& files;
  const maildir::Names& names;
  std::int64_t started;
  std::size_t removed = 0;

  bool is_dead(const std::string& name) const {
    const auto parsed = maildir::parse_name(name);
    if (!parsed || parsed->host != names.host()) return false;
    if (parsed->seconds < started - kOld) return true;
    if (parsed->pid == ::getpid()) return parsed->seconds < started;
    return ::kill(parsed->pid, 0) != 0 && errno == ESRCH;
  }

  void files_in(int folder) {
    std::vector<std::string> found;
    files.list(folder, found);
    for (const std::string& name : found) {
      if (is_dead(name) && files.remove(folder, name) == 0) ++removed;
    }
  }

  void mailbox(int folder) {
    const auto tmp_of = [&](const std::string& path) {
      const UniqueFd tmp(files.open_below(folder, path + "tmp"));
      if (tmp) files_in(tmp.get());
    };
    tmp_of("");
    std::vector<std::string> found;
    files.list(folder, found);
    for (const std::string& name : found) {
      if (name.front() == '.') tmp_of(name + '/');
    }
  }

  void mailboxes_below(int folder, std::size_t depth) {
    if (depth == 0) return mailbox(folder);
    std::vector<std::string> found;
    files.list(folder, found);
    for (const std::string& name : found) {
      if (name.front() == '.') continue;
      const UniqueFd below(files.open_below(folder, name));
      if (below) mailboxes_below(below.get(), depth - 1);
    }
  }
};

}  // namespace

std::size_t sweep(maildir::Files& files, const maildir::Names& names, const std::string& base, std::size_t depth,
                  WallTime started) {
  maildir::Fault fault;
  const UniqueFd folder = maildir::open_base(files, base, fault);
  if (!folder) return 0;
  if (UniqueFd(files.create_unnamed(folder.get(), 0600))) return 0;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(started.time_since_epoch()).count();
  Sweep sweep{files, names, seconds};
  sweep.files_in(folder.get());
  sweep.mailboxes_below(folder.get(), depth);
  return sweep.removed;
}

}  // namespace vmail::store
