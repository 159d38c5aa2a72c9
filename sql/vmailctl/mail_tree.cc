#include "sql/vmailctl/mail_tree.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "shared/config/config.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

// A Maildir is two deep, a home with Sieve scripts or indexes some more.
constexpr int kDeepest = 64;
constexpr int kMostArchives = 100;

[[noreturn]] void fail(int error, const std::string& path, const char* doing, const std::string& hint = "") {
  throw Refusal(fmt::format("{}: {}: {}", path, doing, std::strerror(error)), hint);
}

maildir::Layout layout_of(const config::Settings& settings) {
  std::string why;
  auto layout = maildir::Layout::parse(settings.mailboxes.path, why);
  if (!layout) throw config::SettingError("mailboxes.path", fmt::format("'{}': {}", settings.mailboxes.path, why));
  return std::move(*layout);
}

// Deletes a folder and what is in it. `path` is for messages alone; each step is one name below an open folder.
void remove_tree(maildir::Files& files, int parent, const std::string& name, dev_t device, const std::string& path,
                 int depth) {
  if (depth > kDeepest)
    throw Refusal(fmt::format("{}: more than {} folders deep", path, kDeepest), "Look at it by hand.");
  const UniqueFd folder(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) fail(errno, path, "cannot be opened");
  struct stat info {};
  if (::fstat(folder.get(), &info) != 0) fail(errno, path, "cannot be looked at");
  if (info.st_dev != device)
    throw Refusal(path + ": another file system is mounted there", "Unmount it, then run this again.");
  std::vector<std::string> entries;
  if (const int result = files.list(folder.get(), entries); result < 0) fail(-result, path, "cannot be listed");
  for (const auto& entry : entries) {
    if (::unlinkat(folder.get(), entry.c_str(), 0) == 0 || errno == ENOENT) continue;
    // A folder is EISDIR on Linux's own file systems, EPERM on others (POSIX).
    if (errno != EISDIR && errno != EPERM) fail(errno, path + '/' + entry, "cannot be deleted");
    remove_tree(files, folder.get(), entry, device, path + '/' + entry, depth + 1);
  }
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0) {
    fail(errno, path, "cannot be deleted", "If mail is still coming in, wait a minute and run this again.");
  }
}

}  // namespace

MailTree::MailTree(const config::Settings& settings) : settings_(settings), layout_(layout_of(settings)) {}

std::string MailTree::relative(const Address& address) const {
  auto path = layout_.path(address);
  if (!path)
    throw Refusal(fmt::format("{} has no place below {}: its parts cannot be names of folders", address.text(),
                              settings_.mailboxes.base),
                  "");
  return std::move(*path);
}

std::string MailTree::path(const Address& address) const {
  return settings_.mailboxes.base + '/' + relative(address);
}

UniqueFd MailTree::open_base() {
  maildir::Fault fault;
  UniqueFd base = maildir::open_base(files_, settings_.mailboxes.base, fault);
  if (!base) {
    fail(fault.error, settings_.mailboxes.base, "the folder of all mail cannot be opened",
         "Is its volume mounted? It is mailboxes.base in vmailkit.toml.");
  }
  return base;
}

std::pair<UniqueFd, std::string> MailTree::open_parent(const Address& address) {
  UniqueFd base = open_base();
  const std::string path = relative(address);
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {std::move(base), path};
  const int parent = files_.open_below(base.get(), path.substr(0, slash));
  if (parent < 0 && parent != -ENOENT)
    fail(-parent, settings_.mailboxes.base + '/' + path.substr(0, slash), "cannot be opened");
  return {UniqueFd(parent < 0 ? -1 : parent), path.substr(slash + 1)};
}

bool MailTree::exists(const Address& address) {
  const auto [parent, name] = open_parent(address);
  if (!parent) return false;
  struct stat info {};
  if (::fstatat(parent.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return false;
    fail(errno, path(address), "cannot be looked at");
  }
  if (!S_ISDIR(info.st_mode))
    throw Refusal(path(address) + " is not a folder", "Look at it by hand, and move it away.");
  return true;
}

UniqueFd MailTree::open(const Address& address) {
  const UniqueFd base = open_base();
  maildir::Fault fault;
  UniqueFd mailbox = maildir::open_mailbox(files_, base.get(), relative(address), fault);
  if (!mailbox && fault.error != ENOENT) fail(fault.error, path(address), "cannot be opened");
  return mailbox;
}

void MailTree::prepare_archive() {
  const std::string& archive = settings_.admin.archive;
  const UniqueFd base = open_base();
  struct stat base_info {};
  if (::fstat(base.get(), &base_info) != 0) fail(errno, settings_.mailboxes.base, "cannot be looked at");
  if (::mkdir(archive.c_str(), 0700) == 0) {
    if (::geteuid() == 0 && ::chown(archive.c_str(), base_info.st_uid, base_info.st_gid) != 0) {
      fail(errno, archive, "cannot be given to the owner of the mail");
    }
  } else if (errno != EEXIST) {
    fail(errno, archive, "the archive cannot be made", "It is admin.archive in vmailkit.toml; nothing was changed.");
  }
  struct stat info {};
  if (::stat(archive.c_str(), &info) != 0) fail(errno, archive, "cannot be looked at");
  if (!S_ISDIR(info.st_mode)) throw Refusal(archive + " is not a folder", "Set admin.archive in vmailkit.toml.");
  if (info.st_dev != base_info.st_dev) {
    throw Refusal(
        fmt::format("{} is not on the file system of {}", archive, settings_.mailboxes.base),
        "Mail is archived by a rename alone: set admin.archive to a folder beside the mail. Nothing was changed.");
  }
}

std::string MailTree::archive(const Address& address) {
  const UniqueFd archive(files_.open_folder(settings_.admin.archive));
  if (archive.get() < 0) fail(-archive.get(), settings_.admin.archive, "cannot be opened");
  const auto [parent, name] = open_parent(address);
  if (!parent) fail(ENOENT, path(address), "cannot be archived");
  const std::string stem = fmt::format("{}.{:%Y%m%dT%H%M%SZ}", address.text(), fmt::gmtime(std::time(nullptr)));
  for (int i = 1; i <= kMostArchives; ++i) {
    const std::string target = i == 1 ? stem : fmt::format("{}-{}", stem, i);
    const int moved = files_.rename(parent.get(), name, archive.get(), target);
    if (moved == -EEXIST) continue;
    if (moved < 0) fail(-moved, path(address), "cannot be moved to the archive");
    for (const int folder : {archive.get(), parent.get()}) {
      if (const int result = files_.sync(folder); result < 0)
        fail(-result, settings_.admin.archive, "cannot be synced");
    }
    return settings_.admin.archive + '/' + target;
  }
  fail(EEXIST, settings_.admin.archive + '/' + stem, "cannot be archived");
}

void MailTree::purge(const Address& address) {
  const auto [parent, name] = open_parent(address);
  if (!parent) return;
  struct stat info {};
  if (::fstat(parent.get(), &info) != 0) fail(errno, path(address), "cannot be looked at");
  remove_tree(files_, parent.get(), name, info.st_dev, path(address), 0);
  if (const int result = files_.sync(parent.get()); result < 0)
    fail(-result, path(address), "its folder cannot be synced");
}

}  // namespace vmail::sql
