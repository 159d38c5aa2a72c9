#include "dovecot-lmtp-store/filing.h"

#include <cerrno>
#include <cstring>

#include "dovecot-lmtp-store/message_text.h"
#include "shared/base/text.h"
#include "shared/config/config.h"
#include "shared/runtime/log.h"

namespace vmail::store {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr std::size_t kMostSubscriptions = 1u << 20;  // bytes of the file

// A file or a link by that name is no folder of messages.
bool is_no_folder(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

// People write user+lists for their folder Lists. In "&...-" of modified UTF-7 case means something.
bool is_same_name(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  bool shifted = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = shifted ? a[i] == b[i] : equal_ignoring_ascii_case(a.substr(i, 1), b.substr(i, 1));
    if (!same) return false;
    if (a[i] == '&') shifted = true;
    if (a[i] == '-') shifted = false;
  }
  return true;
}

std::vector<std::string> folders_of(maildir::Files& files, int mailbox) {
  std::vector<std::string> names, folders;
  files.list(mailbox, names);
  for (std::string& name : names) {
    if (name.front() == '.') folders.push_back(std::move(name));
  }
  return folders;
}

std::optional<std::string> read_whole(maildir::Files& files, int file) {
  std::string text;
  std::vector<char> buffer(4096);
  for (;;) {
    const ssize_t got = files.read_at(file, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (got == -EINTR) continue;
    if (got < 0 || text.size() > kMostSubscriptions) return std::nullopt;
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

// As Dovecot does it (lib-storage/list/subscription-file.c): the new text is written into the lock, which then takes
// the place of the file. Somebody else's lock is left alone. 0 or errno.
int subscribe_to(maildir::Files& files, int mailbox, const std::string& folder) {
  const int made = files.create(mailbox, "subscriptions.lock", kFileMode);
  if (made < 0) return -made;
  const UniqueFd lock(made);
  std::string before;
  int error = 0;
  const int found = files.open_file(mailbox, "subscriptions");
  if (found >= 0) {
    const UniqueFd file(found);
    const auto text = read_whole(files, found);
    if (text) before = *text;
    if (!text) error = EIO;
  } else if (found != -ENOENT) {
    error = -found;
  }
  const auto after = maildir::subscribe(before, folder);
  if (error == 0 && after) error = write_all(files, lock.get(), *after);
  if (error == 0 && after) error = -files.sync(lock.get());
  if (error == 0 && after) error = -files.replace(mailbox, "subscriptions.lock", "subscriptions");
  if (error != 0 || !after) files.remove(mailbox, "subscriptions.lock");
  return error;
}

}  // namespace

Filing filing_from(const config::Settings& settings) {
  Filing filing;
  if (settings.mailboxes.folder_names == "utf-8") filing.names = maildir::FolderNames::Utf8;
  if (settings.store.detail_folders == "create") filing.detail = DetailFolders::Create;
  if (settings.store.detail_folders == "no") filing.detail = DetailFolders::No;
  filing.subscribe = settings.store.subscribe;
  const auto junk = maildir::folder_name(settings.store.junk_folder, filing.names);
  if (!junk) {
    throw config::SettingError("store.junk_folder",
                               "no folder can have the name \"" + settings.store.junk_folder + '"');
  }
  filing.junk = *junk;
  for (const std::string& text : settings.store.spam_headers) {
    std::string why;
    auto rule = lmtp::parse_header_rule(text, why);
    if (!rule) throw config::SettingError("store.spam_headers", '"' + text + "\" " + why);
    filing.spam.push_back(std::move(*rule));
  }
  return filing;
}

std::optional<std::string> choose_folder(maildir::Files& files, int base, const Filing& filing, const Message& message,
                                         const Recipient& recipient, maildir::Fault& fault) {
  if (recipient.spam_to_junk && is_spam(files, message, filing.spam)) return filing.junk;
  if (recipient.detail.empty() || filing.detail == DetailFolders::No) return "";
  const auto name = maildir::folder_name(recipient.detail, filing.names);
  if (!name || name->empty()) return "";
  if (maildir::open_mailbox(files, base, recipient.path + '/' + *name + "/new", fault)) return name;
  if (!is_no_folder(fault.error)) return std::nullopt;
  const bool may_make = filing.detail == DetailFolders::Create;
  const UniqueFd mailbox = maildir::open_mailbox(files, base, recipient.path, fault);
  if (!mailbox && fault.error != ENOENT) return std::nullopt;
  if (!mailbox) return may_make ? *name : "";
  const auto folders = folders_of(files, mailbox.get());
  for (const std::string& folder : folders) {
    if (!is_same_name(folder, *name)) continue;
    if (maildir::open_mailbox(files, mailbox.get(), folder + "/new", fault)) return folder;
  }
  return may_make && folders.size() < kMostFolders ? *name : "";
}

bool make_folder(maildir::Files& files, int base, const std::string& path, const std::string& folder,
                 const Filing& filing, maildir::Fault& fault) {
  const UniqueFd mailbox = maildir::make_mailbox(files, base, path, fault);
  if (!mailbox || folder.empty()) return static_cast<bool>(mailbox);
  const std::string where = path + '/' + folder;
  const UniqueFd made = maildir::make_mailbox(files, base, where, fault);
  if (!made) return false;
  // Tells Courier and its kind that this is no mailbox of its own (Maildir++).
  const UniqueFd mark(files.create(made.get(), "maildirfolder", kFileMode));
  if (!filing.subscribe) return true;
  if (const int error = subscribe_to(files, mailbox.get(), folder); error != 0) {
    log::warning("folder {} was made, but the user is not subscribed to it: {}", printable(where),
                 std::strerror(error));
  }
  return true;
}

}  // namespace vmail::store
