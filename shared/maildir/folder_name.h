// Names of the folders beside an inbox, as Dovecot's Maildir++ layout has them on the disk, and the file in which they
// are subscribed to. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vmail::maildir {

// How Dovecot spells what is not ASCII: modified UTF-7 (RFC 3501 section 5.1.3), or, with :UTF-8 in its mail_location
// (2.4: mailbox_list_utf8 = yes), as it is.
enum class FolderNames { Utf7, Utf8 };

// The name on the disk, ".Lists.Debian" for "Lists/Debian" or "Lists.Debian"; "" for "INBOX". Nothing for a text that
// can be none: an empty part, one that would lead elsewhere or that Dovecot does not take, what is not UTF-8, control
// characters, or more than 255 bytes.
std::optional<std::string> folder_name(std::string_view text, FolderNames spelling);

// The text of the file `subscriptions` with `folder` (of folder_name()) in it, in the version in which the file is; an
// empty one begins in the first. Nothing when it stands there already.
std::optional<std::string> subscribe(std::string_view subscriptions, std::string_view folder);

}  // namespace vmail::maildir
