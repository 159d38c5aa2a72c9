// Into which folder of a mailbox a message goes, and how a folder that is not there comes to be. From any thread;
// blocks on the disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dovecot-lmtp-store/lmtp/header_scanner.h"
#include "dovecot-lmtp-store/message.h"
#include "dovecot-lmtp-store/recipient.h"
#include "shared/config/settings.h"
#include "shared/maildir/files.h"
#include "shared/maildir/folder_name.h"
#include "shared/maildir/path.h"

namespace vmail::store {

enum class DetailFolders {
  Existing,  // into the folder of that name when there is one
  Create,    // or made
  No,
};

// Unchanging; a reload makes a new one.
struct Filing {
  maildir::FolderNames names = maildir::FolderNames::Utf7;
  DetailFolders detail = DetailFolders::Existing;
  std::string junk = ".Junk";  // of folder_name()
  std::vector<lmtp::HeaderRule> spam;
  bool subscribe = false;  // to the folders that are made here
};
// Throws config::Error for settings that cannot be.
Filing filing_from(const config::Settings& settings);

// What an outsider may make by user+detail: with this many folders in the mailbox its mail goes to the inbox.
inline constexpr std::size_t kMostFolders = 200;

// The folder, by its name on the disk, or "" for the inbox. One that is to be made need not be there. Nothing, and the
// fault, when the mailbox could not be looked at. `base` is the open base folder.
std::optional<std::string> choose_folder(maildir::Files& files, int base, const Filing& filing, const Message& message,
                                         const Recipient& recipient, maildir::Fault& fault);

// Makes what is missing of the mailbox at `path`, and of `folder` in it. False, and the fault, when it failed.
bool make_folder(maildir::Files& files, int base, const std::string& path, const std::string& folder,
                 const Filing& filing, maildir::Fault& fault);

}  // namespace vmail::store
