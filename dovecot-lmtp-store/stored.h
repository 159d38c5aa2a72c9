// How a delivery, or a write to the spool, ended.
#pragma once

#include <optional>
#include <string>

#include "shared/maildir/quota.h"

namespace vmail::store {

struct Stored {
  // Why a message is not filed although nothing is wrong with the disk.
  enum class Refusal : unsigned char {
    None,
    Full,        // no room in the mailbox: for good
    FullForNow,  // the same, and the client is to try again
    TooBig,      // for this recipient
  };

  int error = 0;      // errno; 0: on disk, and under its name
  std::string where;  // the path below the base that it failed at, "" for the base itself
  std::string name;   // of the file
  Refusal refusal = Refusal::None;
  bool duplicate = false;                         // an earlier session has filed it: `name` is the file's
  std::optional<maildir::Quota::Change> usage{};  // of the mailbox, where it is known
  std::string folder{};                           // of the mailbox, as on the disk; empty: the inbox

  bool ok() const { return error == 0 && refusal == Refusal::None; }
};

}  // namespace vmail::store
