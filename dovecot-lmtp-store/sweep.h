// Removes what an earlier process of this host left behind when it was killed.
#pragma once

#include <cstddef>
#include <string>

#include "shared/base/clock.h"
#include "shared/maildir/files.h"
#include "shared/maildir/names.h"

namespace vmail::store {

// Looks through the base folder and each tmp/ of the mailboxes, `depth` folders below it (Layout::depth()). Only where
// the file system has no O_TMPFILE can anything be left; elsewhere it returns at once. Files are taken whose names
// Names made for this host, in a process that is gone: not those of a live process, unless they are an hour old or were
// made by our own process id before `started`. Blocks on the disk. Returns how many were removed.
std::size_t sweep(maildir::Files& files, const maildir::Names& names, const std::string& base, std::size_t depth,
                  WallTime started);

}  // namespace vmail::store
